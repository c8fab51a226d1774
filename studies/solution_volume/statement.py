"""The verdict in words."""

from collections.abc import Mapping
from typing import Any


def statement(found: Mapping[str, Any]) -> str:
    """For each way to train doubts first, then every measure and the missing nats."""
    lines = [f"The posterior is not to be trusted: {doubt}." for doubt in found["doubts"]]
    for entry in found["measures"].values():
        lines += of_training(entry, found)
    return "\n".join(lines)


def of_training(entry: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The lines of one way to train."""
    n_known = entry["n_functions_known"]
    head = (
        f"{entry['label']}: {entry['n_networks']} networks of {entry['n_functions']} functions; P_B of "
        f"{n_known['log_p_posterior']} of these and P_SGD of {n_known['log_p_sgd']} are known well enough to count "
        f"(intervals of {100 * found['level']:g} %, each by itself)."
    )
    lines = [doubt(m) for m in entry["measures"].values() if m["untrusted_share"]]
    said = [of_measure(m, found["targets"]) for m in entry["measures"].values()]
    return [
        *lines,
        head,
        *said,
        *of_gaps(entry["gaps"]),
        of_difference(entry["llc_difference"]),
        of_maximum(entry["maximum"]),
    ]


def doubt(measure: Mapping[str, Any]) -> str:
    """How many networks a measure cannot be trusted on."""
    return (
        f"{sentence_case(measure['label'])}: not to be trusted on {measure['untrusted_share']:.0%} of the "
        f"networks; what is said of it is said of the estimates. One of them: {measure['a_doubt']}."
    )


def of_measure(measure: Mapping[str, Any], targets: Mapping[str, str]) -> str:
    """What one measure follows."""
    parts = [says(measure["correlations"][name], label) for name, label in targets.items()]
    return f"{sentence_case(measure['label'])}: {'; '.join(parts)}."


def says(rho: Mapping[str, Any], label: str) -> str:
    """The finding for one target."""
    if rho["value"] is None:
        return f"undecided for {label}, {rho['reason'].rstrip('.')}"
    number = f"ρ = {rho['value']:.2f} ({rho['lower']:.2f} to {rho['upper']:.2f})"
    word = {"follows": "follows", "opposes": "opposes", "undecided": "undecided for"}
    return f"{word[rho['finding']]} {label}, {number}"


def of_gaps(gaps: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How far local volumes lie below what bounds them."""
    bounds = {
        "volume_function": ("the same function", "log P(f, S)"),
        "volume_fit": ("zero training error", "log P(S)"),
    }
    return [
        f"What rays see of {region} lies {-gap['median']:.0f} nats below {bound} in the median "
        f"({-gap['most']:.0f} to {-gap['least']:.0f}, {gap['n']} networks); "
        + (
            f"above it by more than chance allows in {gap['n_violated']}: THE BOUND IS VIOLATED."
            if gap["n_violated"]
            else "it never exceeds this bound by more than chance allows."
        )
        for name, (region, bound) in bounds.items()
        if (gap := gaps[name])["n"]
    ]


def of_difference(apart: Mapping[str, Any]) -> str:
    """How far the two samplers' learning coefficients differ."""
    if apart["mean"] is None:
        return "The two samplers' learning coefficients cannot be compared."
    return (
        f"The learning coefficient is larger by SGLD than by HMC by {apart['mean']:.3f} ± {apart['mean_sem']:.3f} in "
        f"the mean over networks, and by at most {apart['most_standard_errors']:.1f} standard errors on one."
    )


def of_maximum(top: Mapping[str, Any]) -> str:
    """What networks become that climb to a maximum of the posterior density."""
    return (
        f"Of the networks that climb to a maximum of the posterior density {top['same_function']:.0%} still make their "
        f"function there; log prior + log likelihood is {top['least_log_density']:.1f} to {top['most_log_density']:.1f}."
    )


def sentence_case(text: str) -> str:
    """The first letter a capital, the others as they are."""
    return text[:1].upper() + text[1:]

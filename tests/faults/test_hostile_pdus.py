"""The short form of the attacks on the association layer: honest peers are served, attackers are cut off."""

from collections import Counter

from tests.faults.hostile_pdus import CHECK, all_attacks
from tests.faults.suite import run_check


def test_there_are_at_least_60_attacks_and_each_is_another() -> None:
    attacks = all_attacks(7)
    assert len(attacks) >= 60
    assert Counter((attack.group, attack.name) for attack in attacks).most_common(1)[0][1] == 1


def test_honest_peers_are_served_during_every_attack_and_attackers_are_cut_off() -> None:
    outcome = run_check(CHECK, "osteon", short=True)
    assert outcome.count >= 60
    assert not outcome.failures

"""What `Gcra` promises, written the other way round."""

from fractions import Fraction


class LeakyBucket:
    """The same promise in exact numbers: a level that drains."""

    def __init__(self, rate: Fraction, burst: Fraction) -> None:
        self.rate, self.burst, self.level, self.at = rate, burst, Fraction(0), Fraction(0)

    def drain(self, now: float) -> None:
        self.level = max(Fraction(0), self.level - (Fraction(now) - self.at) * self.rate)
        self.at = Fraction(now)

    def wait(self, now: float, cost: float) -> Fraction:
        self.drain(now)
        return max(Fraction(0), self.level + Fraction(cost) - self.burst) / self.rate

    def take(self, now: float, cost: float) -> Fraction:
        wait = self.wait(now, cost)
        if not wait:
            self.level += Fraction(cost)
        return wait

    def settle(self, now: float, difference: float) -> None:
        self.drain(now)
        self.level = max(Fraction(0), self.level + Fraction(difference))

    def retune(self, now: float, rate: Fraction, burst: Fraction) -> None:
        self.drain(now)
        self.rate, self.burst = rate, burst

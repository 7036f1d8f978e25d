"""Noise and the loss of privacy, compared with OpenDP and dp-accounting.

    opendp_check.py PROGRAM DRAWS

PROGRAM is the example `draws` of the crate `concordat-disclosure`.

1. Draws of the discrete Gaussian by PROGRAM and by OpenDP: each against the exact probabilities (mpmath, 40 digits), and both against
   each other, by chi-square tests; and the two tails beyond 1, 2, 3 and 4 standard deviations.
2. The half-width of the interval, against the exact probabilities.
3. Epsilon of a loss, against the conversion of zCDP by way of Rényi divergence, the one of OpenDP, and the exact curve of one Gaussian
   with that loss. A smaller epsilon than any of them would be a claim that is not true; a much larger one is useless.
"""

import collections
import subprocess
import sys
from importlib import metadata

import mpmath
import opendp.prelude as dp
from dp_accounting.pld import privacy_loss_distribution
from dp_accounting.rdp import rdp_privacy_accountant
from scipy import stats

mpmath.mp.dps = 40
dp.enable_features("contrib")

VARIANCES = [(1, 4), (1, 1), (5, 2), (50, 1), (123456, 7), (2**40, 3), (281474976710655, 281474976710653)]
LOSSES = [1, 10, 100, 1_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000]
EXPONENTS = [6, 9, 12]
# With probability below 10^-6 a test of an exact sampler has a smaller p value.
SMALLEST_P = 1e-6
# Our epsilon is at most these factors above the one by Rényi divergence, and the exact one of a single Gaussian. The formula that we use
# is farthest from both where rho is a millionth and delta is too: 1.65 and 1.86. From rho 0.001 on it is below 1.3 and 1.41.
LARGEST_FACTORS = {"Rényi": 1.7, "OpenDP": 1.7, "exact": 1.9}

failures = []


def check(passed, text):
    print(("ok      " if passed else "DIFFERS ") + text)
    if not passed:
        failures.append(text)


def run(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def ours(program, numerator, denominator, draws):
    lines = run(program, "gaussian", numerator, denominator, draws, "opendp-check").splitlines()
    return collections.Counter({int(outcome): int(count) for outcome, count in map(str.split, lines)})


def of_opendp(sigma, draws):
    space = dp.vector_domain(dp.atom_domain(T="i64"), size=draws), dp.l2_distance(T="i64")
    return collections.Counter(dp.m.make_gaussian(*space, scale=sigma)([0] * draws))


def exact(variance):
    """Cumulative probabilities of groups of outcomes: how probable a draw is of at most `y`."""
    sigma = mpmath.sqrt(variance)
    if sigma > 10_000:
        # The difference to the normal distribution with a correction of one half is below 10^-9 there.
        return lambda y: float(mpmath.ncdf((mpmath.mpf(y) + mpmath.mpf(1) / 2) / sigma))
    last = int(sigma * 14) + 3
    sums, total = {}, mpmath.mpf(0)
    for y in range(-last, last + 1):
        total += mpmath.exp(-mpmath.mpf(y) ** 2 / (2 * variance))
        sums[y] = total
    return lambda y: 0.0 if y < -last else float(sums[min(y, last)] / total)


def groups(below, sigma, draws):
    """Bounds of groups of outcomes that are expected at least 25 times, at most 60 of them."""
    width = max(1, int(sigma / 10))
    bounds, last = [], 0.0
    for y in range(-int(sigma * 5) - 2, int(sigma * 5) + 3, width):
        if (below(y) - last) * draws >= 25 and (1 - below(y)) * draws >= 25:
            bounds.append(y)
            last = below(y)
    return bounds


def grouped(counts, bounds):
    found = [0] * (len(bounds) + 1)
    for outcome, count in counts.items():
        found[sum(1 for bound in bounds if bound < outcome)] += count
    return found


def compare_draws(program, draws):
    for numerator, denominator in VARIANCES:
        variance = mpmath.mpf(numerator) / denominator
        sigma = float(mpmath.sqrt(variance))
        name = f"variance {numerator}/{denominator}"
        below = exact(variance)
        mine = ours(program, numerator, denominator, draws)
        bounds = groups(below, sigma, draws)
        steps = [0.0, *map(below, bounds), 1.0]
        expected = [(after - before) * draws for before, after in zip(steps, steps[1:])]
        found = grouped(mine, bounds)
        p = stats.chisquare(found, expected, sum_check=False).pvalue
        check(p > SMALLEST_P, f"{name}: {draws} draws against exact probabilities, {len(found)} groups, p = {p:.4f}")
        theirs = grouped(of_opendp(sigma, draws), bounds)
        p = stats.chisquare(theirs, expected, sum_check=False).pvalue
        check(p > SMALLEST_P, f"{name}: draws of OpenDP against exact probabilities, p = {p:.4f}")
        if len(found) > 1:
            p = stats.chi2_contingency([found, theirs]).pvalue
            check(p > SMALLEST_P, f"{name}: draws against draws of OpenDP, p = {p:.4f}")
        compare_tails(name, mine, below, sigma, draws)
        compare_half_width(program, name, numerator, denominator, below)


def compare_tails(name, mine, below, sigma, draws):
    figures = []
    for deviations in range(1, 5):
        edge = int(deviations * sigma)
        for found, probability in [
            (sum(count for y, count in mine.items() if y > edge), 1 - below(edge)),
            (sum(count for y, count in mine.items() if y < -edge), below(-edge - 1)),
        ]:
            figures.append(stats.binomtest(found, draws, min(max(probability, 0.0), 1.0)).pvalue)
    check(min(figures) > SMALLEST_P, f"{name}: both tails beyond 1 to 4 standard deviations, smallest p = {min(figures):.4f}")


def compare_half_width(program, name, numerator, denominator, below):
    width = int(run(program, "half-width", numerator, denominator))
    covered = below(width) - below(-width - 1)
    narrower = below(width - 1) - below(-width) if width else 0.0
    check(covered >= 0.95 - 1e-12, f"{name}: ± {width} contains {covered:.4%}")
    check(narrower < 0.95 + 1e-3, f"{name}: ± {width - 1} contains {narrower:.4%}")


def renyi(rho, delta):
    """The conversion by Canonne, Kamath, Steinke 2020, over many orders, as dp-accounting does it."""
    orders = [1 + step / 50 for step in range(1, 500)] + [float(order) for order in range(11, 4000)]
    # Small losses have their best order far out.
    orders += [4000.0 * 1.05**step for step in range(1, 200)]
    return rdp_privacy_accountant.compute_epsilon(orders, [rho * order for order in orders], delta)[0]


def of_opendp_conversion(rho, delta):
    # A Gaussian with this loss at a distance of 1, as a measurement that OpenDP converts.
    space = dp.atom_domain(T="f64", nan=False), dp.absolute_distance(T="f64")
    scale = float((1 / (2 * rho)) ** 0.5)
    gaussian = dp.m.make_gaussian(*space, scale=scale)
    return dp.c.make_zCDP_to_approxDP(gaussian).map(1.0).epsilon(delta)


def exact_gaussian(rho, delta):
    """Epsilon of one Gaussian with this loss, by its exact curve: the least that any conversion may state."""
    sigma = mpmath.sqrt(1 / (2 * mpmath.mpf(rho)))

    def delta_of(epsilon):
        first = mpmath.ncdf(1 / (2 * sigma) - epsilon * sigma)
        return first - mpmath.exp(epsilon) * mpmath.ncdf(-1 / (2 * sigma) - epsilon * sigma)

    low, high = mpmath.mpf(0), mpmath.mpf(200)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle) > delta else (low, middle)
    return float(high)


def compare_epsilon(program):
    factors = []
    for exponent in EXPONENTS:
        delta = 10.0**-exponent
        for micro_rho in LOSSES:
            rho = micro_rho / 1e6
            mine = int(run(program, "epsilon", micro_rho, exponent)) / 1e6
            oracles = {
                "Rényi": renyi(rho, delta),
                "OpenDP": of_opendp_conversion(rho, delta),
                "exact": exact_gaussian(rho, delta),
            }
            text = ", ".join(f"{name} {value:.6f}" for name, value in oracles.items())
            factors.append((mine / oracles["Rényi"], mine / oracles["exact"]))
            above = all(mine >= value - 1e-12 for value in oracles.values())
            near = all(mine <= oracles[name] * factor for name, factor in LARGEST_FACTORS.items())
            check(above and near, f"rho {rho}, delta 1e-{exponent}: epsilon {mine:.6f}; {text}")
    renyi_factors, exact_factors = zip(*factors)
    print(f"epsilon is {min(renyi_factors):.3f} to {max(renyi_factors):.3f} times the one by Rényi divergence,")
    print(f"and {min(exact_factors):.3f} to {max(exact_factors):.3f} times the exact one of a single Gaussian")


def compare_discrete_mechanism(program):
    """The discrete Gaussian itself, by its privacy loss distribution: what a query of the private mode releases."""
    for sigma in [1, 2, 5, 20]:
        for exponent in EXPONENTS:
            delta = 10.0**-exponent
            loss = privacy_loss_distribution.from_discrete_gaussian_mechanism(float(sigma), value_discretization_interval=1e-4)
            tight = loss.get_epsilon_for_delta(delta)
            micro_rho = -(-500_000 // sigma**2)
            mine = int(run(program, "epsilon", micro_rho, exponent)) / 1e6
            check(mine >= tight - 1e-12, f"sigma {sigma}, delta 1e-{exponent}: epsilon {mine:.6f}, by its distribution {tight:.6f}")


def main():
    program, draws = sys.argv[1], int(sys.argv[2])
    print(f"OpenDP {metadata.version('opendp')}, dp-accounting {metadata.version('dp-accounting')}")
    compare_draws(program, draws)
    compare_epsilon(program)
    compare_discrete_mechanism(program)
    if failures:
        sys.exit(f"{len(failures)} comparisons differ")
    print("no difference")


main()

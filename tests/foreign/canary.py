"""The canary collection of a seed, as a second implementation of the description in `protocol/src/canary.rs`.

Prints for each seed in hexadecimal the two digests that `protocol/src/canary/tests.rs` expects. Only the standard library is used.
"""

import hashlib
import sys

LABEL = b"concordat/canary/1"
SEEDS = [bytes(32).hex(), bytes(range(32)).hex()]


def digest(data):
    return hashlib.sha256(LABEL + b"\0" + data).digest()


class Numbers:
    def __init__(self, seed):
        self.seed, self.block, self.left = seed, 0, b""

    def below(self, limit):
        if not self.left:
            self.left = digest(self.seed + self.block.to_bytes(8, "big"))
            self.block += 1
        number, self.left = self.left[:8], self.left[8:]
        return int.from_bytes(number, "big") % limit

    def shuffle(self, items):
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]


def canary(seed):
    numbers = Numbers(seed)
    first = numbers.below(35)
    second = numbers.below(35 - first)
    sizes = [1, 2, 4, 9, 50 + first, 50 + second, 84 - first - second]
    sites = list("abcdefg")
    numbers.shuffle(sites)
    order = list(range(200))
    numbers.shuffle(order)
    site_of = dict(zip(order, (site for site, size in zip(sites, sizes) for _ in range(size))))
    people = []
    for subject in range(200):
        sex = "fm"[numbers.below(2)]
        age = 20 + numbers.below(60)
        people.append([subject, site_of[subject], sex, age, numbers.below(2)])
    site = sites[4 + numbers.below(3)]
    of_site = [person for person in people if person[1] == site]
    target = of_site[numbers.below(len(of_site))]
    up_to_age = 80 + numbers.below(10)
    target[3] = up_to_age + 1 + numbers.below(5)
    visits = []
    for subject in range(200):
        for _ in range(1 + numbers.below(4)):
            code = numbers.below(4)
            visits.append((subject, f"common-{code}", numbers.below(1000)))
    begin = numbers.below(200)
    for step in range(3):
        visits += [((begin + step) % 200, "rare", numbers.below(1000)) for _ in range(20)]
    rows = "".join(f"s{subject:03},{site},{sex},{age},{marker}\n" for subject, site, sex, age, marker in people)
    lines = "".join(f"s{subject:03},{code},{cost}\n" for subject, code, cost in visits)
    return "subject,site,sex,age,marker\n" + rows, "subject,code,cost\n" + lines


for text in sys.argv[1:] or SEEDS:
    print(text, *(digest(table.encode()).hex() for table in canary(bytes.fromhex(text))))

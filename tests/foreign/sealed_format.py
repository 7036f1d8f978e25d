"""The sealed formats of docs/storage-format.md, implemented a second time, from the document only.

    sealed_format.py check VECTORS    seals and opens every vector, and compares
    sealed_format.py make             writes the vectors to standard output
    sealed_format.py open KEY FILE    opens a sealed object; KEY is the dataset's key in hexadecimal digits

Needs `cryptography` and `blake3` from PyPI.
"""

import hashlib
import hmac
import json
import sys

import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

BLOCK = 65536
TAG = 16
HEADER = 56
SUITES = {1: ChaCha20Poly1305, 2: AESGCM}


def hkdf(material, salt, info):
    """HKDF-SHA256 (RFC 5869), 32 bytes: one round of the expansion."""
    pseudorandom = hmac.new(salt or bytes(32), material, hashlib.sha256).digest()
    return hmac.new(pseudorandom, info + b"\x01", hashlib.sha256).digest()


def key_id(dataset_key):
    return hkdf(dataset_key, b"", b"concordat/1 dataset key id")[:16]


def header(dataset_key, suite, random):
    return b"CCSEAL" + bytes([1, suite]) + key_id(dataset_key) + random


def cipher(dataset_key, head):
    """The object's cipher and the associated data of its blocks."""
    suite, random = head[7], head[24:56]
    key = hkdf(dataset_key, random, b"concordat/1 object" + bytes([suite]))
    data = blake3.blake3(head, derive_key_context="concordat/1 object header").digest()
    return SUITES[suite](key), data


def nonce(number, last):
    return bytes(3) + number.to_bytes(8, "big") + bytes([1 if last else 0])


def seal(dataset_key, suite, random, plain):
    head = header(dataset_key, suite, random)
    box, data = cipher(dataset_key, head)
    blocks = [plain[at : at + BLOCK] for at in range(0, len(plain), BLOCK)] or [b""]
    sealed = [box.encrypt(nonce(n, n + 1 == len(blocks)), block, data) for n, block in enumerate(blocks)]
    return head + b"".join(sealed)


def unseal(dataset_key, sealed):
    """The plaintext, or an exception if the bytes differ from what was sealed."""
    head, body = sealed[:HEADER], sealed[HEADER:]
    if len(head) < HEADER or head[:6] != b"CCSEAL" or head[6] != 1 or head[7] not in SUITES:
        raise ValueError("not a sealed object of a known version and suite")
    if head[8:24] != key_id(dataset_key):
        raise ValueError("sealed under another key")
    step = BLOCK + TAG
    blocks = [body[at : at + step] for at in range(0, len(body), step)]
    if not blocks or len(blocks[-1]) < TAG or (len(blocks) > 1 and len(blocks[-1]) == TAG):
        raise ValueError("a sealed object cannot have this length")
    box, data = cipher(dataset_key, head)
    return b"".join(box.decrypt(nonce(n, n + 1 == len(blocks)), block, data) for n, block in enumerate(blocks))


def plain_of(length):
    """The plaintext of a vector: byte i is i modulo 251."""
    return bytes(i % 251 for i in range(length))


def make():
    dataset_key, vectors = bytes(range(32)), []
    for suite in SUITES:
        for length in [0, 1, 17, BLOCK - 1, BLOCK, BLOCK + 1, 200_000]:
            random = hashlib.sha256(f"{suite}/{length}".encode()).digest()
            sealed = seal(dataset_key, suite, random, plain_of(length))
            vectors.append(
                {
                    "suite": suite,
                    "random": random.hex(),
                    "plain_length": length,
                    "sealed_length": len(sealed),
                    "sealed_sha256": hashlib.sha256(sealed).hexdigest(),
                    "sealed": sealed.hex() if length < 100 else None,
                }
            )
    return {"dataset_key": dataset_key.hex(), "key_id": key_id(dataset_key).hex(), "objects": vectors}


def check(path):
    stated = json.load(open(path))
    if stated != make():
        sys.exit("the vectors differ from those of this implementation")
    dataset_key, refused = bytes.fromhex(stated["dataset_key"]), 0
    for vector in stated["objects"]:
        random, length = bytes.fromhex(vector["random"]), vector["plain_length"]
        sealed = seal(dataset_key, vector["suite"], random, plain_of(length))
        if unseal(dataset_key, sealed) != plain_of(length):
            sys.exit(f"suite {vector['suite']}, {length} bytes: not opened")
        for wrong in corrupted(sealed):
            try:
                unseal(dataset_key, wrong)
            except Exception:
                refused += 1
            else:
                sys.exit(f"suite {vector['suite']}, {length} bytes: a modified object was opened")
    print(f"{len(stated['objects'])} objects sealed and opened identically, {refused} modified ones refused")


def corrupted(sealed):
    """Corrupted copies of the object: changed, truncated, extended, duplicated or reordered."""
    for at in [0, 6, 7, 8, 24, HEADER - 1, HEADER, len(sealed) - 1]:
        yield sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
    yield sealed[:-1]
    yield sealed + b"\0"
    step = BLOCK + TAG
    if len(sealed) > HEADER + step:
        head, first, rest = sealed[:HEADER], sealed[HEADER : HEADER + step], sealed[HEADER + step :]
        yield head + first
        yield head + rest
        yield head + first + first + rest
        if len(rest) >= step:
            yield head + rest[:step] + first + rest[step:]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["check", path]:
            check(path)
        case ["make"]:
            print(json.dumps(make(), indent=1))
        case ["open", key, path]:
            sys.stdout.buffer.write(unseal(bytes.fromhex(key), open(path, "rb").read()))
        case _:
            sys.exit(__doc__)

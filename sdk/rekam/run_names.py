"""Names for runs that were given none."""

from __future__ import annotations

import random

_ADJECTIVES = (
    "able amber brave bright calm clean clever crisp curious dapper deft eager fair fast fine gentle "
    "glad golden grand happy honest humble jolly keen kind lively lucid lucky mellow merry mighty neat "
    "nimble noble polite proud quick quiet rapid serene sharp silent smart steady swift tidy vivid warm wise"
).split()
_ANIMALS = (
    "ant badger bat bear bee bison boar cat crane crow deer dolphin dove duck eagle elk falcon finch fox "
    "frog gnu goat goose hare hawk heron horse ibis jay koala lark lion lynx mole moose mouse newt otter "
    "owl panda perch pig pony quail rat raven robin seal shark sheep shrew slug snail sparrow squid stork "
    "swan tern toad trout turtle vole wasp whale wolf wren yak"
).split()
# Not the program's seeded generator: two runs of one seed get different names.
_random = random.SystemRandom()


def random_name() -> str:
    """A name of the form adjective-animal-number."""
    return f"{_random.choice(_ADJECTIVES)}-{_random.choice(_ANIMALS)}-{_random.randrange(1000)}"

"""Names for runs and models that were given none: adjective-animal-number."""

from __future__ import annotations

import random

ADJECTIVES = (
    "able adorable agile amazing amusing auspicious awesome bald beautiful bemused big blushing bold "
    "brawny bright bustling calm capable capricious carefree caring charming clean clumsy colorful "
    "crawling dapper dashing dazzling debonair defiant delicate delightful efficient enchanting "
    "enthused exultant fearless flawless fortunate fun funny gaudy gentle gifted glamorous grandiose "
    "gregarious handsome hilarious honorable illustrious incongruous indecisive industrious intelligent "
    "inquisitive intrigued invincible judicious kindly languid learned legendary likeable loud luminous "
    "luxuriant lyrical magnificent marvelous masked melodic merciful mercurial monumental mysterious "
    "nebulous nervous nimble nosy omniscient orderly overjoyed peaceful painted persistent placid "
    "polite popular powerful puzzled rambunctious rare rebellious receptive redolent resilient rogue "
    "rumbling salty sassy secretive selective sedate serious shivering silent sincere skillful smiling "
    "sneaky spiffy stately suave stylish tasteful thoughtful thundering traveling treasured trusting "
    "unequaled unique unruly upbeat unleashed useful valuable vaunted victorious welcoming whimsical "
    "wistful wise worried youthful zealous"
).split()

ANIMALS = (
    "ant ape asp auk bass bat bear bee bird boar bug calf carp cat chimp cod colt conch cow crab crane "
    "croc crow cub deer doe dog dolphin donkey dove duck eel elk fawn finch fish flea fly foal fowl fox "
    "frog gnat gnu goat goose grouse grub gull hare hawk hen hog horse hound jay kit kite koi lamb lark "
    "loon lynx mare midge mink mole moose moth mouse mule newt owl ox panda penguin perch pig pug quail "
    "ram rat ray robin roo rook seal shad shark sheep shoat shrew shrike shrimp skink skunk sloth slug "
    "smelt snail snake snipe sow sponge squid squirrel stag steed stoat stork swan tern toad trout "
    "turtle vole wasp whale wolf worm wren yak zebra"
).split()


def generate() -> str:
    return f"{random.choice(ADJECTIVES)}-{random.choice(ANIMALS)}-{random.randrange(1_000)}"

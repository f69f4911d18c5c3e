"""Writes corpus.txt: short stories from a small grammar, the text that the storyteller checkpoint is trained on.

usage: python corpus.py [STORIES] [SEED] > corpus.txt
"""

from __future__ import annotations

import random
import sys

NAMES = [("Mara", "she", "her"), ("Tom", "he", "his"), ("Lina", "she", "her"), ("Oskar", "he", "his"), ("Ida", "she", "her"),
         ("Ben", "he", "his"), ("Rosa", "she", "her"), ("Pavel", "he", "his"), ("Nora", "she", "her"), ("Finn", "he", "his")]  # fmt: skip
ANIMALS = ["fox", "heron", "hedgehog", "old dog", "grey cat", "crow", "badger", "small bear", "goat", "owl"]
PLACES = ["the mill by the river", "the edge of the forest", "the harbour", "a village under the mountain", "the old lighthouse",
          "a farm behind the hills", "the market square", "a house with a green door"]  # fmt: skip
THINGS = {
    "lantern": ("light the way", "dark"), "boat": ("cross the water", "wide"), "key": ("open the gate", "locked"),
    "rope": ("climb the wall", "high"), "map": ("find the path", "hidden"), "blanket": ("keep warm", "cold"),
    "basket": ("carry the apples", "heavy"), "flute": ("call the sheep", "far away"), "ladder": ("reach the roof", "tall"),
    "bell": ("wake the village", "asleep"),
}  # fmt: skip
WEATHER = ["It was a cold morning", "It was a warm evening", "Snow had fallen all night", "The rain had just stopped",
           "The wind was blowing from the sea", "The sun was high", "Fog lay over the fields", "The first stars were out"]  # fmt: skip
FEELINGS = [("sad", "sighed"), ("worried", "frowned"), ("tired", "sat down"), ("afraid", "stood still"), ("angry", "stamped")]
GIFTS = ["a piece of bread", "a red apple", "a warm scarf", "a cup of milk", "a jar of honey", "a handful of nuts"]
LESSONS = ["a friend is worth more than gold", "small steps cross great hills", "a kind word costs nothing",
           "those who share are never poor", "patience opens every door", "the brave are often afraid too",
           "even the smallest hand can help"]  # fmt: skip
DAYS = ["three days", "a week", "one long night", "many hours", "a whole day"]


def article(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def story(rng: random.Random) -> str:
    """One story of two or three paragraphs; who, where and which thing stay the same throughout."""
    name, he, his = rng.choice(NAMES)
    animal, place, gift = rng.choice(ANIMALS), rng.choice(PLACES), rng.choice(GIFTS)
    thing = rng.choice(list(THINGS))
    use, state = THINGS[thing]
    feeling, act = rng.choice(FEELINGS)
    He, friend = he.capitalize(), rng.choice([n for n in NAMES if n[0] != name])
    opening = rng.choice([
        f"Once there was a child called {name} who lived at {place}.",
        f"{name} lived at {place}, and every morning {he} walked to the well.",
        f"In {place.removeprefix('the ').removeprefix('a ')} there lived a child whose name was {name}.".replace("In ", "Near the ", 1),
    ])  # fmt: skip
    weather = f"{rng.choice(WEATHER)}, and {name} was looking for {his} {thing}."
    meeting = rng.choice([
        f'On the way {he} met {article(animal)}. "Why are you so {feeling}?" asked the {animal}.',
        f'{article(animal).capitalize()} was sitting by the road. "You look {feeling}," said the {animal}.',
    ])  # fmt: skip
    trouble = rng.choice([
        f'{name} {act}. "I have lost my {thing}," {he} said. "Without it I cannot {use}."',
        f'"I need my {thing} to {use}," said {name}, "but I cannot find it anywhere."',
    ])  # fmt: skip
    offer = rng.choice([
        f'"Give me {gift}," said the {animal}, "and I will help you look for the {thing}."',
        f"The {animal} thought for a moment. \"I have seen {article(thing)} near {rng.choice(PLACES)},\" it said.",
    ])  # fmt: skip
    search = rng.choice([
        f"So they looked together for {rng.choice(DAYS)}, until the {animal} found the {thing} under a stone.",
        f"They walked for {rng.choice(DAYS)}, and at last {name} saw the {thing} hanging in a tree.",
        f"They asked {friend[0]}, who had found the {thing} and kept it safe for {rng.choice(DAYS)}.",
    ])  # fmt: skip
    middle = rng.choice([
        f"Now {name} could {use}, although everything was {state}.",
        f"{He} took the {thing} in both hands and smiled, because now {he} could {use}.",
    ])  # fmt: skip
    thanks = rng.choice([
        f'"Thank you," said {name} to the {animal}, and gave it {gift}.',
        f"{name} shared {gift} with the {animal}, and they ate together under the sky.",
    ])  # fmt: skip
    ending = rng.choice([
        f"From that day on {name} and the {animal} were friends, and {name} never forgot that {rng.choice(LESSONS)}.",
        f"And so {name} learned that {rng.choice(LESSONS)}.",
        f"When {he} came home, {he} told {friend[0]} that {rng.choice(LESSONS)}.",
    ])  # fmt: skip
    return f"{opening} {weather}\n{meeting} {trouble} {offer}\n{search} {middle} {thanks} {ending}"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 7)
    sys.stdout.write("\n\n".join(story(rng) for _ in range(count)) + "\n")


if __name__ == "__main__":
    main()

from itda.progress import ignore_progress, part_of


def test_parts_of_parts_fill_the_whole() -> None:
    told: list[tuple[float, str]] = []
    second = part_of(lambda fraction, message: told.append((fraction, message)), 0.5, 1.0)
    for number in range(4):
        part_of(second, number / 4, (number + 1) / 4)(1.0, f"part {number}")
    assert told == [(0.625, "part 0"), (0.75, "part 1"), (0.875, "part 2"), (1.0, "part 3")]


def test_nobody_need_listen() -> None:
    part_of(None, 0.0, 0.5)(1.0, "done")
    ignore_progress(1.0, "done")

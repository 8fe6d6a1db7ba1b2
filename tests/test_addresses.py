"""E-mail addresses: what is one, and reading them from text and CSV without being led astray."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from hashlib import sha256
from time import process_time
from typing import Any

import pytest
from hypothesis import given, strategies as st

from loyaltykit import addresses
from loyaltykit.addresses import Batch, Rejection, address, hashed, parsed, read_csv, read_text
from loyaltykit.errors import InputError
from loyaltykit.wire import from_data, to_data

NAMES = st.text("abcXYZ019._+-", min_size=1, max_size=6)
GOOD = st.builds("{}@{}.{}".format, NAMES, NAMES, st.sampled_from(["com", "CO.uk", "io"])).filter(
    lambda value: not parsed(value)[1]
)
SPACED = st.builds("{}{}{}".format, st.sampled_from(["", " ", "\t "]), GOOD, st.sampled_from(["", "  "]))
BAD = st.sampled_from(["not-an-email", "a@b", "a@@b.co", "@b.co", "a@", "a b@c.de", "a..b@c.de", "x@-c.de"])


class TestAddress:
    @given(GOOD)
    def test_case_and_outer_spaces_do_not_matter(self, value: str) -> None:
        """Written in capitals and with spaces around, it is the same address."""
        assert address(value) == address(f"  {value.upper()}\t") == value.lower()

    @given(st.one_of(st.text(max_size=30), st.builds("{}@{}.{}".format, st.text(), st.text(), st.text())))
    def test_what_is_kept_is_kept_as_it_is(self, value: str) -> None:
        """Whatever comes in: either an address that stays as it is, or a reason; never both."""
        found, wrong = parsed(value)
        assert bool(found) != bool(wrong)
        if found:
            assert (found, "") == parsed(found)
            assert found == found.strip()
            assert found.isprintable()
            assert 1 == found.count("@")

    @pytest.mark.parametrize(
        "value",
        [
            "ana@example.com",
            "a@b.co",
            "o'brien+tag@mail.example.co.uk",
            "first.last_1@sub-domain.example",
            "ünal@exämple.de",
            "अना@उदाहरण.भारत",
            "x" * 64 + "@example.com",
            "a@" + "b" * 63 + ".com",
        ],
    )
    def test_good_ones(self, value: str) -> None:
        """Plain, tagged, international and just short enough addresses are taken."""
        assert value == address(value)

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            ("", "no address"),
            (" \t", "no address"),
            ("<>", "no address"),
            (None, "is no text"),
            (7, "is no text"),
            ("not-an-email", "has no @"),
            ("a@b@c.de", "has more than one @"),
            ("@b.de", "nothing before the @"),
            ("a@", "nothing after the @"),
            ("a@b", "the domain has no dot"),
            (".a@b.de", "has a dot too many before the @"),
            ("a.@b.de", "has a dot too many before the @"),
            ("a..b@c.de", "has a dot too many before the @"),
            ("a@b..de", "has a dot too many after the @"),
            ("a@.de", "has a dot too many after the @"),
            ("a@b.de.", "has a dot too many after the @"),
            ("a b@c.de", "has characters that an address does not have"),
            ('"a"@c.de', "has characters that an address does not have"),
            ("a@b_c.de", "has characters that a domain does not have"),
            ("a@[192.0.2.1]", "has characters that a domain does not have"),
            ("a@192.0.2.1", "is at no possible domain"),
            ("a@-b.de", "is at no possible domain"),
            ("a@b-.de", "is at no possible domain"),
            ("a@" + "b" * 64 + ".de", "is at no possible domain"),
            ("x" * 65 + "@b.de", "longer than 64 characters before the @"),
            ("ü" * 33 + "@b.de", "longer than 64 characters before the @"),
            ("a@" + "b." * 200 + "de", "longer than 254 characters"),
            ("a\0@b.de", "has characters that cannot be seen"),
            ("a\u200b@b.de", "has characters that cannot be seen"),
            ("a\ud800@b.de", "has characters that cannot be seen"),
            ("\u212aim@b.de", "has characters that an address does not have"),
            ("a@\u0130b.de", "has characters that a domain does not have"),
            ("a\uff20b.de", "has no @"),
        ],
    )
    def test_malformed_ones(self, value: Any, why: str) -> None:
        """Each is refused with its own reason; a letter that only looks like k or i is not taken for it."""
        with pytest.raises(InputError) as caught:
            address(value, "customer.email")
        assert ("customer.email", why) == (caught.value.field, caught.value.hint)

    def test_a_name_before_the_address_is_left_out(self) -> None:
        """What mail programs copy, a name and the address in angle brackets, is the address."""
        assert "ann@example.com" == address("Ann <Ann@Example.com>")

    def test_composed_and_decomposed_letters_are_one(self) -> None:
        """The same letter in either form of Unicode is the same address."""
        assert address("u\u0308nal@b.de") == address("ünal@b.de")

    def test_hash(self) -> None:
        """The hash is that of the trimmed lower-case address, in UTF-8."""
        assert sha256(b"ana@example.com").hexdigest() == hashed(" Ana@Example.com")
        with pytest.raises(InputError, match="address="):
            hashed("ana")


class TestText:
    @given(st.lists(st.one_of(SPACED, BAD), max_size=20), st.sampled_from(["\n", "\r\n", "\r", ",", ";", " ,\n"]))
    def test_every_entry_is_accounted_for(self, entries: list[str], between: str) -> None:
        """Accepted, rejected and duplicates sum up to what was there; accepted ones are distinct, in their order."""
        batch = read_text(between.join(entries))
        assert len(entries) == len(batch.accepted) + len(batch.rejected) + batch.duplicates
        good = [each.strip().lower() for each in entries if not parsed(each)[1]]
        assert tuple(dict.fromkeys(good)) == batch.accepted
        assert sum(bool(parsed(each)[1]) for each in entries) == len(batch.rejected)

    @given(st.text(max_size=60))
    def test_whatever_comes_is_read(self, text: str) -> None:
        """No text makes it fail, and what it accepts it would accept again."""
        batch = read_text(text)
        assert batch.accepted == read_text("\n".join(batch.accepted)).accepted
        assert batch == from_data(Batch, to_data(batch))

    @given(st.lists(SPACED, max_size=9))
    def test_reading_again_changes_nothing(self, entries: list[str]) -> None:
        """The same export twice over is the same addresses, the second time as duplicates."""
        once, twice = read_text("\n".join(entries)), read_text("\n".join(entries + entries))
        assert once.accepted == twice.accepted
        assert once.duplicates + len(entries) == twice.duplicates

    def test_trimmed_lowered_and_once(self) -> None:
        """Four lines: one address written twice, one that is none."""
        batch = read_text(" Ana@Example.com \nbo@example.com\nana@example.com\nnot-an-email\n")
        rejected = (Rejection(4, "not-an-email", "has no @"),)
        assert Batch(("ana@example.com", "bo@example.com"), rejected, 1) == batch
        assert "2 accepted, 1 rejected, 1 duplicates" == str(batch)
        assert "line 4: 'not-an-email' has no @" == str(batch.rejected[0])

    def test_lines_and_commas(self) -> None:
        """Commas separate, but not within the quotes of a name; empty entries are passed over; lines are counted."""
        batch = read_text('\ufeffann@a.de, bo@b.de;cy@c.de,,\r\n\r\n"Ann, Bo" <ana@d.de>, "x@\r\n"eve@e.de"\rnope')
        assert ("ann@a.de", "bo@b.de", "cy@c.de", "ana@d.de", "eve@e.de") == batch.accepted
        assert (Rejection(3, "x@", "nothing after the @"), Rejection(5, "nope", "has no @")) == batch.rejected

    def test_only_line_ends_end_lines(self) -> None:
        """A form feed or a line separator within a line does not shift the count of lines."""
        batch = read_text("a@b.de\x0c\u2028,c@d.de\nbad")
        assert ("a@b.de", "c@d.de") == batch.accepted
        assert [2] == [each.line for each in batch.rejected]

    def test_bytes(self) -> None:
        """UTF-8 with or without its mark is read; other encodings are refused with the way out."""
        assert ("ünal@b.de",) == read_text("\ufeffünal@b.de".encode()).accepted
        assert ("a@b.de",) == read_csv(bytearray(b"email\r\na@b.de\r\n")).accepted
        for data in ("ünal@b.de".encode("cp1252"), "a@b.de".encode("utf-16"), "a@b.de".encode("utf-16-le")):
            with pytest.raises(InputError, match=r"export=.*is not UTF-8; decode it first"):
                read_text(data)

    def test_nothing_gives_nothing(self) -> None:
        """An empty export is an empty list, not an error."""
        for nothing in ("", "\ufeff", " \r\n,;\n", b""):
            assert Batch(()) == read_text(nothing)
        assert Batch(()) == read_csv("\n , \n")

    def test_what_is_shown_of_bad_input_is_short_and_printable(self) -> None:
        """A rejected text of any length and content can be shown as it is."""
        (rejection,) = read_text("\x00\ud800" + "x" * 500).rejected
        assert 80 == len(rejection.text)
        assert rejection.text.isprintable()
        assert rejection.text.startswith("��xxx")
        assert rejection.text.endswith("…")

    def test_bounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Too long, too many, or no text at all: a clear error rather than a full memory."""
        with pytest.raises(InputError, match=r"export='11 characters': at most 10; pass limit="):
            read_text("a" * 11, limit=10)
        with pytest.raises(InputError, match="at most 10"):
            read_csv(b"a" * 11, limit=10)
        monkeypatch.setattr(addresses, "MAX_ENTRIES", 3)
        assert 2 == len(read_text("x,x,a@b.de").rejected)
        with pytest.raises(InputError, match="export='more than 3 addresses'"):
            read_text("x,x,x,x")
        with pytest.raises(InputError, match="export='list'"):
            read_text(["a@b.de"])  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "hostile",
        ['a"' * 500_000, "a," * 400_000, "<" * 500_000 + ">", "a@" * 500_000, "." * 10**6 + "@b.de", '"' * 10**6],
        ids=["quotes", "commas", "brackets", "ats", "dots", "only quotes"],
    )
    def test_hostile_texts_take_no_longer(self, hostile: str) -> None:
        """The time grows with the length alone, whatever is in it."""
        start = process_time()
        read_text(hostile)
        assert process_time() - start < 10


class TestCsv:
    @given(
        st.lists(st.tuples(st.text(max_size=8).filter(lambda t: "\r" not in t), st.one_of(SPACED, BAD)), max_size=9),
        st.sampled_from([",", ";", "\t"]),
        st.sampled_from(["\n", "\r\n"]),
    )
    def test_reads_what_a_writer_wrote(self, rows: list[tuple[str, str]], delimiter: str, end: str) -> None:
        """Whatever stands in the other column, quotes, delimiters and line ends included, the addresses come out."""
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
        writer.writerows([("note", "e-mail"), *rows])
        batch = read_csv(out.getvalue(), "E-Mail", delimiter=delimiter)
        expected = read_text("\n".join(email for _, email in rows))
        assert expected.accepted == batch.accepted
        assert expected.duplicates == batch.duplicates
        assert [each.reason for each in expected.rejected] == [each.reason for each in batch.rejected]

    @given(st.text('a@b.,;"\n\r\t\0 ', max_size=40))
    def test_whatever_comes_is_read_or_refused(self, text: str) -> None:
        """No text makes it fail otherwise than with an error of its own."""
        batch = None
        with suppress(InputError):
            batch = read_csv(text, 1)
        if batch is not None:
            assert batch.accepted == read_text("\n".join(batch.accepted)).accepted

    def test_a_header_is_found_by_name_or_by_itself(self) -> None:
        """The column is named, numbered, or the one that is called e-mail; case does not matter."""
        text = "id,E-Mail,backup email\n1,Ana@Example.com,ann@a.de\n"
        assert ("ana@example.com",) == read_csv(text).accepted
        assert ("ana@example.com",) == read_csv(text, "e-mail").accepted
        assert ("ann@a.de",) == read_csv(text, " Backup Email ").accepted
        assert ("ann@a.de",) == read_csv(text, 3).accepted
        assert ("a@b.de",) == read_csv("Contact\na@b.de").accepted

    def test_of_two_columns_called_alike_one_must_be_named(self) -> None:
        """Neither is taken for the other; the next likely name is."""
        with pytest.raises(InputError, match="column=None: say which one it is"):
            read_csv("email,E-mail\na@b.de,c@d.de")
        assert ("e@f.de",) == read_csv("email,E-mail,mail\na@b.de,c@d.de,e@f.de").accepted

    def test_without_a_header(self) -> None:
        """A first row with an @ is data: the only column with one is meant, or a number says which."""
        assert ("a@b.de", "c@d.de") == read_csv("1,a@b.de\n2,c@d.de").accepted
        assert ("a@b.de",) == read_csv("a@b.de,x@y.de", 1).accepted
        with pytest.raises(InputError, match="column=None: several columns have an @"):
            read_csv("a@b.de,x@y.de")
        with pytest.raises(InputError, match="column='email': give its number: no header"):
            read_csv("1,a@b.de", "email")
        with pytest.raises(InputError, match=r"column='a@b\.de': give its number: no header"):
            read_csv("a@b.de", "a@b.de")

    def test_rejected_rows_name_the_line_they_begin_on(self) -> None:
        """A quoted field over several lines counts them; a row too short or without an address is rejected."""
        batch = read_csv('note,email\n"two\nlines",a@b.de\n\nx,nope\nshort\n,\ny,\n')
        assert ("a@b.de",) == batch.accepted
        assert [(5, "nope", "has no @"), (6, "", "no address"), (8, "", "no address")] == [
            (each.line, each.text, each.reason) for each in batch.rejected
        ]

    def test_quotes_that_are_never_closed_are_refused(self) -> None:
        """The lines that they would swallow are not lost in silence."""
        with pytest.raises(InputError, match=r"row that begins on line 3 is not CSV .*close or double its quotes"):
            read_csv('email\na@b.de\n"c@d.de\ne@f.de\n')
        with pytest.raises(InputError, match="line 2 is not CSV"):
            read_csv('email\n"' + "x" * 200_000)

    @pytest.mark.parametrize(
        ("column", "delimiter", "field", "hint"),
        [
            ("mail", None, "column", "there is no such header; choose one of id, twice, Twice"),
            ("twice", None, "column", "the header is there more than once"),
            (None, None, "column", "say which one it is; choose one of id"),
            (4, None, "column", "the first row has 3"),
            (0, None, "column", "a number from 1"),
            (True, None, "column", "a number from 1"),
            (1.0, None, "column", "a number from 1"),
            (1, ", ", "delimiter", "one character"),
            (1, '"', "delimiter", "one character"),
            (1, " ", "delimiter", "one character"),
            (1, "", "delimiter", "one character"),
            (1, 7, "delimiter", "one character"),
        ],
    )
    def test_columns_that_are_not_there(self, column: Any, delimiter: Any, field: str, hint: str) -> None:
        """The error names what was asked for, and what there is."""
        with pytest.raises(InputError) as caught:
            read_csv("id,twice,Twice\n1,a@b.de,c@d.de", column, delimiter=delimiter)
        assert field == caught.value.field
        assert hint in caught.value.hint

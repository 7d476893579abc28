//! The outline of a text: blank lines, comments, and items with the lines that continue them.
//!
//! An item begins in the first column. A line that begins with white space continues the item above it; comment
//! lines between an item's lines belong to it.

use super::syntax::Span;

/// A part of the outline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Blank,
    /// From `#` to the end of the line.
    Comment(Span),
    Item(ItemLines),
}

/// The lines of one directive or rule, without its line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ItemLines {
    pub(crate) lines: Vec<Span>,
    /// Comment lines that stand between them.
    pub(crate) comments: Vec<Span>,
    /// Whether the first line is indented, though there is no item that it could continue.
    pub(crate) orphan: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blank,
    Comment,
    Start,
    Continuation,
}

/// Divides a text into its pieces, in order.
pub(crate) fn outline(text: &str) -> Vec<Piece> {
    let lines: Vec<(Kind, Span)> =
        physical_lines(text).map(|span| (kind(&text[span.clone()]), span)).collect();
    let mut pieces = Vec::new();
    let mut index = 0;
    while let Some((kind, span)) = lines.get(index) {
        index += 1;
        pieces.push(match kind {
            Kind::Blank => Piece::Blank,
            Kind::Comment => Piece::Comment(trimmed(text, span)),
            Kind::Start | Kind::Continuation => {
                let (item, taken) = item(text, &lines[index - 1..]);
                index += taken - 1;
                Piece::Item(item)
            }
        });
    }
    pieces
}

/// The item that the first of these lines begins, and how many lines it takes.
fn item(text: &str, lines: &[(Kind, Span)]) -> (ItemLines, usize) {
    let orphan = lines[0].0 == Kind::Continuation;
    let mut item = ItemLines { lines: vec![trimmed(text, &lines[0].1)], comments: Vec::new(), orphan };
    let mut taken = 1;
    loop {
        let comments = lines[taken..].iter().take_while(|(kind, _)| *kind == Kind::Comment).count();
        match lines.get(taken + comments) {
            Some((Kind::Continuation, span)) => {
                item.comments
                    .extend(lines[taken..taken + comments].iter().map(|(_, span)| trimmed(text, span)));
                item.lines.push(trimmed(text, span));
                taken += comments + 1;
            }
            _ => return (item, taken),
        }
    }
}

fn physical_lines(text: &str) -> impl Iterator<Item = Span> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let span = start..start + line.trim_end_matches(['\n', '\r']).len();
        start += line.len();
        span
    })
}

fn kind(line: &str) -> Kind {
    match line.trim_start().chars().next() {
        None => Kind::Blank,
        Some('#') => Kind::Comment,
        Some(_) if line.starts_with([' ', '\t']) => Kind::Continuation,
        Some(_) => Kind::Start,
    }
}

/// The span without white space at either end.
pub(crate) fn trimmed(text: &str, span: &Span) -> Span {
    let line = &text[span.clone()];
    let start = span.start + (line.len() - line.trim_start().len());
    start..start + line.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Vec<String> {
        let show = |span: &Span| text[span.clone()].to_owned();
        let piece = |piece| match piece {
            Piece::Blank => String::new(),
            Piece::Comment(span) => show(&span),
            Piece::Item(item) => {
                let lines: Vec<_> = item.lines.iter().map(show).collect();
                format!("{}{}", if item.orphan { "?" } else { "" }, lines.join(" / "))
            }
        };
        outline(text).into_iter().map(piece).collect()
    }

    #[test]
    fn an_indented_line_continues_the_item_above_it() {
        assert_eq!(shape("a: x\n  y\n\t z\nb:\n"), ["a: x / y / z", "b:"]);
    }

    #[test]
    fn a_blank_line_ends_an_item() {
        assert_eq!(shape("a:\n\n  b\n"), ["a:", "", "?b"]);
    }

    #[test]
    fn a_comment_between_an_items_lines_does_not_end_it_and_one_after_it_does() {
        assert_eq!(shape("a:\n# one\n  b\n# two\nc:"), ["a: / b", "# two", "c:"]);
    }

    #[test]
    fn line_ends_of_either_kind_are_no_part_of_a_line() {
        assert_eq!(shape("a:\r\n  b\r\n\r\n"), ["a: / b", ""]);
    }
}

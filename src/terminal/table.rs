//! Tables that fit a terminal. If a line is too short for all columns, the least important ones are omitted, names are
//! shortened, and prose moves below its row. Pure.

use unicode_width::UnicodeWidthStr;

use super::fit::{shorten, wrapped};

/// The space between columns.
const GAP: usize = 2;

/// The minimum width of a name. Less important columns are omitted before names become narrower.
const NAME: usize = 14;

/// The minimum width of prose beside its row. With less space it moves below the row.
const PROSE: usize = 30;

/// The indentation of prose below its row.
const INDENT: usize = 4;

/// A column: its heading, and its behaviour if space is short.
#[derive(Clone, Debug)]
pub struct Column {
    heading: String,
    kind: Kind,
    rank: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Name,
    Number,
    Prose,
}

impl Column {
    /// An id, a state or a time. It is shown completely or not at all.
    pub fn word(heading: &str) -> Self {
        Self::new(heading, Kind::Word)
    }

    /// A name, which may be shortened: a path in the middle, anything else at the end.
    pub fn name(heading: &str) -> Self {
        Self::new(heading, Kind::Name)
    }

    /// A number, right-aligned.
    pub fn number(heading: &str) -> Self {
        Self::new(heading, Kind::Number)
    }

    /// Prose, which wraps between words. It is the last column, and omitted if it is empty in all rows.
    pub fn prose(heading: &str) -> Self {
        Self::new(heading, Kind::Prose)
    }

    fn new(heading: &str, kind: Kind) -> Self {
        Self { heading: heading.to_owned(), kind, rank: 0 }
    }

    /// Allows the column to be omitted if the line is too short, highest rank first. Rank 0, the default, always stays.
    #[must_use]
    pub fn rank(self, rank: usize) -> Self {
        Self { rank, ..self }
    }
}

/// Rows under headings.
#[derive(Clone, Debug, Default)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row. Missing cells are empty.
    pub fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines of the table, at most `width` characters wide. Headings come first if there are any. Without a width,
    /// each row is one line.
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        let layout = self.layout(width);
        let headings: Vec<_> = self.columns.iter().map(|column| column.heading.clone()).collect();
        let mut lines = Vec::new();
        if headings.iter().any(|heading| !heading.is_empty()) {
            let prose = if layout.prose.is_beside() { self.prose(&headings) } else { String::new() };
            lines.extend(self.laid_out(&headings, &prose, &layout));
        }
        for row in &self.rows {
            lines.extend(self.laid_out(row, &self.prose(row), &layout));
        }
        match width {
            // Even the required columns may not fit.
            Some(width) => lines.iter().map(|line| shorten(line, width)).collect(),
            None => lines,
        }
    }

    /// The same as one text that ends with a line break.
    pub fn text(&self, width: Option<usize>) -> String {
        self.lines(width).into_iter().map(|line| line + "\n").collect()
    }

    /// The prose of a row, or empty if the table has none.
    fn prose(&self, cells: &[String]) -> String {
        let is_prose = self.columns.last().is_some_and(|column| column.kind == Kind::Prose);
        let cell = cells.get(self.columns.len().wrapping_sub(1)).filter(|_| is_prose);
        cell.cloned().unwrap_or_default()
    }

    /// One row, on as many lines as its prose needs.
    fn laid_out(&self, cells: &[String], prose: &str, layout: &Layout) -> Vec<String> {
        let mut line = String::new();
        for (place, (column, width)) in layout.shown.iter().enumerate() {
            if place > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            let cell = shorten(cells.get(*column).map_or("", String::as_str), *width);
            let space = " ".repeat(width.saturating_sub(cell.width()));
            let is_number = self.columns[*column].kind == Kind::Number;
            let (before, after) = if is_number { (space.as_str(), "") } else { ("", space.as_str()) };
            line.extend([before, &cell, after]);
        }
        match layout.prose {
            _ if prose.is_empty() => vec![line.trim_end().to_owned()],
            ProsePlace::Beside { at, width } => {
                let pieces = wrapped(prose, width);
                let mut pieces = pieces.iter();
                let first = pieces.next().map_or("", String::as_str);
                let gap = " ".repeat(at.saturating_sub(line.width()));
                let first = format!("{line}{gap}{first}").trim_end().to_owned();
                std::iter::once(first).chain(pieces.map(|piece| " ".repeat(at) + piece)).collect()
            }
            ProsePlace::Below { width } => {
                let below = wrapped(prose, width).into_iter().map(|piece| " ".repeat(INDENT) + &piece);
                std::iter::once(line.trim_end().to_owned()).chain(below).collect()
            }
        }
    }

    /// The columns to show, their widths, and the place of the prose.
    fn layout(&self, width: Option<usize>) -> Layout {
        let has_prose = self.rows.iter().any(|row| !self.prose(row).is_empty());
        let others = (0..self.columns.len()).filter(|column| self.columns[*column].kind != Kind::Prose);
        let mut shown: Vec<_> = others.map(|column| (column, self.natural(column))).collect();
        if let Some(width) = width {
            self.fit(&mut shown, width);
        }
        let taken = total(shown.iter().map(|(_, width)| *width));
        let at = if shown.is_empty() { 0 } else { taken + GAP };
        let longest = self.rows.iter().map(|row| self.prose(row).width()).max().unwrap_or(0);
        let prose = match width.map(|width| (width, width.saturating_sub(at))) {
            _ if !has_prose => ProsePlace::Below { width: 0 },
            None => ProsePlace::Beside { at, width: usize::MAX },
            Some((_, left)) if left >= PROSE.min(longest) => ProsePlace::Beside { at, width: left },
            Some((width, _)) => ProsePlace::Below { width: width.saturating_sub(INDENT) },
        };
        Layout { shown, prose }
    }

    /// Omits columns and narrows names until the rest fits, as far as possible.
    fn fit(&self, shown: &mut Vec<(usize, usize)>, width: usize) {
        let kind = |column: usize| self.columns[column].kind;
        let least = |(column, natural): &(usize, usize)| {
            if kind(*column) == Kind::Name { (*natural).min(NAME) } else { *natural }
        };
        while total(shown.iter().map(least)) > width {
            let rank = |(column, _): &(usize, usize)| self.columns[*column].rank;
            let Some(highest) = shown.iter().map(rank).max().filter(|rank| *rank > 0) else { break };
            let Some(place) = shown.iter().rposition(|column| rank(column) == highest) else { break };
            shown.remove(place);
        }
        let fixed = total(shown.iter().map(|(column, natural)| if kind(*column) == Kind::Name { 0 } else { *natural }));
        let mut room = width.saturating_sub(fixed);
        let names: Vec<_> = (0..shown.len()).filter(|place| kind(shown[*place].0) == Kind::Name).collect();
        for (number, place) in names.iter().enumerate() {
            // Reserves the minimum width of the following names.
            let later: usize = names[number + 1..].iter().map(|place| least(&shown[*place])).sum();
            let own = shown[*place].1.min(room.saturating_sub(later).max(1));
            room = room.saturating_sub(own);
            shown[*place].1 = own;
        }
    }

    fn natural(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|cells| cells.get(column)).map(|cell| cell.width());
        cells.chain([self.columns[column].heading.width()]).max().unwrap_or(0)
    }
}

/// The total width of columns, including the gaps.
fn total(widths: impl ExactSizeIterator<Item = usize>) -> usize {
    let gaps = GAP * widths.len().saturating_sub(1);
    widths.sum::<usize>() + gaps
}

struct Layout {
    /// The columns to show, each with its width.
    shown: Vec<(usize, usize)>,
    prose: ProsePlace,
}

#[derive(Clone, Copy)]
enum ProsePlace {
    Beside { at: usize, width: usize },
    Below { width: usize },
}

impl ProsePlace {
    fn is_beside(self) -> bool {
        matches!(self, Self::Beside { .. })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The widths at which every listing is tested.
    const WIDTHS: [usize; 4] = [40, 60, 80, 120];

    fn sessions() -> Table {
        let mut table = Table::new([
            Column::word("SESSION"),
            Column::word("STATE"),
            Column::name("PROFILE").rank(3),
            Column::name("PROJECT"),
            Column::word("STARTED").rank(1),
            Column::number("RECEIVED").rank(2),
            Column::prose("NOTES"),
        ]);
        let row = |id: &str, received: &str, note: &str| {
            let project = "~/work/clients/acme/applications/api";
            [id, "ended", "platform", project, "2026-11-29 21:30", received, note].map(str::to_owned)
        };
        table.push(row("3f0a11de", "12", ""));
        table.push(row("77aa03bc", "1204", "2 batches left for signoz (it refused the connection, next try 21:32:10)"));
        table
    }

    #[test]
    fn the_least_important_columns_are_dropped_first_and_prose_wraps() {
        insta::assert_snapshot!(sessions().text(Some(40)), @r"
        SESSION   STATE  PROJECT
        3f0a11de  ended  ~/work/clients/acm…/api
        77aa03bc  ended  ~/work/clients/acm…/api
            2 batches left for signoz (it
            refused the connection, next try
            21:32:10)
        ");
        insta::assert_snapshot!(sessions().text(Some(80)), @r"
        SESSION   STATE  PROFILE   PROJECT                    STARTED           RECEIVED
        3f0a11de  ended  platform  ~/work/clients/acme/…/api  2026-11-29 21:30        12
        77aa03bc  ended  platform  ~/work/clients/acme/…/api  2026-11-29 21:30      1204
            2 batches left for signoz (it refused the connection, next try 21:32:10)
        ");
        insta::assert_snapshot!(sessions().text(Some(130)), @r"
        SESSION   STATE  PROFILE   PROJECT                               STARTED           RECEIVED  NOTES
        3f0a11de  ended  platform  ~/work/clients/acme/applications/api  2026-11-29 21:30        12
        77aa03bc  ended  platform  ~/work/clients/acme/applications/api  2026-11-29 21:30      1204  2 batches left for signoz (it refused
                                                                                                     the connection, next try 21:32:10)
        ");
        let whole = sessions().lines(None);
        assert!(whole.len() == 3 && whole[2].ends_with("next try 21:32:10)"), "{whole:?}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_none_ends_in_spaces() {
        for width in WIDTHS {
            for line in sessions().lines(Some(width)) {
                assert!(line.width() <= width && line.trim_end() == line, "{width}: `{line}`");
            }
        }
    }

    #[test]
    fn a_list_of_names_and_descriptions_keeps_them_beside_each_other() {
        let mut table = Table::new([Column::word(""), Column::name("NAME"), Column::prose("DESCRIPTION")]);
        table.push(["*", "local", "Records usage on this machine and sends nothing"].map(str::to_owned));
        table.push(["", "otlp", "Any OTLP receiver"].map(str::to_owned));
        insta::assert_snapshot!(table.text(Some(40)), @r"
           NAME   DESCRIPTION
        *  local  Records usage on this machine
                  and sends nothing
           otlp   Any OTLP receiver
        ");
    }

    fn widths(columns: &[(Column, usize)], width: usize) -> Vec<usize> {
        let mut table = Table::new(columns.iter().map(|(column, _)| column.clone()));
        table.push(columns.iter().map(|(_, natural)| "x".repeat(*natural)));
        table.layout(Some(width)).shown.into_iter().map(|(_, width)| width).collect()
    }

    #[test]
    fn numbers_are_dropped_by_rank_and_columns_without_a_rank_stay() {
        let (name, number) = (|| Column::name(""), |rank| Column::number("").rank(rank));
        let three = [(name(), 30), (number(0), 8), (number(1), 8), (number(2), 8)];
        assert_eq!(widths(&three, 40), [20, 8, 8]);
        assert_eq!(widths(&three, 12), [2, 8]);
        assert_eq!(widths(&[(name(), 5), (number(0), 8)], 80), [5, 8]);
        assert_eq!(widths(&[(name(), 30), (name(), 30), (number(0), 8)], 40), [14, 14, 8]);
    }

    proptest! {
        #[test]
        fn every_table_fits_and_no_prose_is_lost(
            name in "[ -~äß日本…]{0,60}", number in "[0-9]{1,9}", prose in "[a-zü日 ]{0,200}", width in 12_usize..200
        ) {
            let mut table = Table::new([
                Column::name("NAME"), Column::number("NUMBER").rank(1), Column::prose("WHY"),
            ]);
            table.push([name, number, prose.clone()]);
            let lines = table.lines(Some(width));
            for line in &lines {
                prop_assert!(line.width() <= width, "{width}: `{line}`");
            }
            let letters = |text: &str| text.chars().filter(|character| !character.is_whitespace()).collect::<String>();
            prop_assert!(letters(&lines.concat()).ends_with(&letters(&prose)) || prose.trim().is_empty());
        }
    }
}

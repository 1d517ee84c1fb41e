//! The results: the rows of the table, and their format.

use std::fmt::Write;

/// A row of the table, in its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Row {
    SuperviseMemory,
    LoggerMemory,
    Thousand,
    NewLink,
    Killed,
    Down,
    DownAtOnce,
    Svstat,
    WakeUps,
    Setlock,
    Envdir,
    Stamped,
    Selected,
    LostByKill,
    Tai64n,
    Tai64nlocal,
}

/// Name, unit, whether more is better.
const ROWS: [(Row, &str, &str, bool); 16] = [
    (Row::SuperviseMemory, "private memory of a `supervise`", "KiB", false),
    (Row::LoggerMemory, "private memory of an idle logger", "KiB", false),
    (Row::Thousand, "1,000 services up", "ms", false),
    (Row::NewLink, "a new link until its service runs", "ms", false),
    (Row::Killed, "a killed service until it runs again", "ms", false),
    (Row::Down, "`svc -d` until the status says down", "ms", false),
    (Row::DownAtOnce, "`svc -d` 50 ms after a start", "ms", false),
    (Row::Svstat, "one `svstat`", "us", false),
    (Row::WakeUps, "wake-ups a minute of idle services", "", false),
    (Row::Setlock, "what `setlock` adds to an exec", "us", false),
    (Row::Envdir, "what `envdir` adds, 5 variables", "us", false),
    (Row::Stamped, "`multilog t`, 120-byte lines", "MB/s", true),
    (Row::Selected, "`multilog` with five patterns", "MB/s", true),
    (Row::LostByKill, "`multilog`: lines lost by a KILL under load", "", false),
    (Row::Tai64n, "`tai64n`", "M lines/s", true),
    (Row::Tai64nlocal, "`tai64nlocal`", "M lines/s", true),
];

/// The values of one row and one column.
#[derive(Clone, Default, Debug)]
struct Cell {
    values: Vec<f64>,
    failed: bool,
    remark: &'static str,
}

/// All results. The columns are the suites, then the limit.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<String>,
    cells: Vec<Vec<Cell>>,
    /// The failures, in words.
    failures: Vec<String>,
    notes: Vec<String>,
}

impl Table {
    #[must_use]
    pub(crate) fn new(suites: impl Iterator<Item = String>) -> Self {
        let columns: Vec<String> = suites.chain(["limit".to_owned()]).collect();
        let cells = vec![vec![Cell::default(); columns.len()]; ROWS.len()];
        Self { columns, cells, failures: vec![], notes: vec![] }
    }

    /// The column of the limit.
    #[must_use]
    pub(crate) fn limit(&self) -> usize {
        self.columns.len() - 1
    }

    fn cell(&mut self, row: Row, column: usize) -> Option<&mut Cell> {
        self.cells.get_mut(row as usize)?.get_mut(column)
    }

    /// Adds a value, or a failure.
    pub(crate) fn add(&mut self, row: Row, column: usize, value: Result<f64, String>) {
        let failure = match value {
            Ok(value) => {
                if let Some(cell) = self.cell(row, column) {
                    cell.values.push(value);
                }
                return;
            }
            Err(failure) => failure,
        };
        let name = ROWS.get(row as usize).map_or("", |row| row.1);
        let failure = format!("{name}, {}: {failure}", self.columns[column]);
        if let Some(cell) = self.cell(row, column) {
            cell.failed = true;
        }
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
    }

    /// Sets a remark behind the value.
    pub(crate) fn remark(&mut self, row: Row, column: usize, remark: &'static str) {
        if let Some(cell) = self.cell(row, column) {
            cell.remark = remark;
        }
    }

    /// Adds a line below the tables.
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Whether all work was done.
    #[must_use]
    pub(crate) fn is_good(&self) -> bool {
        self.failures.is_empty()
    }

    /// The table of medians, the table of ratios, notes and failures.
    #[must_use]
    pub(crate) fn render(&self) -> String {
        let mut text = header(&self.columns);
        for (&(_, name, unit, _), cells) in ROWS.iter().zip(&self.cells) {
            if cells.iter().all(|cell| cell.values.is_empty() && !cell.failed) {
                continue;
            }
            let _ = write!(text, "| {name} |");
            for (column, cell) in cells.iter().enumerate() {
                let value = match (cell.failed, median(&cell.values)) {
                    (true, _) => "failed".to_owned(),
                    (_, None) => String::new(),
                    (_, Some(value)) if column == 0 => {
                        format!("{} {unit}{}", figure(value, unit), cell.remark).trim().to_owned()
                    }
                    (_, Some(value)) => figure(value, unit) + cell.remark,
                };
                let _ = write!(text, "{}|", padded(&value));
            }
            text.push('\n');
        }
        text += &self.ratios();
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        for failure in &self.failures {
            let _ = writeln!(text, "FAILED: {failure}");
        }
        text
    }

    /// How many times better each column is than daemontools, and the range of the trials.
    fn ratios(&self) -> String {
        let Some(original) = self.columns.iter().position(|name| name == "daemontools") else {
            return String::new();
        };
        let mut text =
            "\nTimes better than daemontools (least to most of a trial; number of trials)\n\n"
                .to_owned();
        text += &header(&self.columns);
        for (&(_, name, unit, more), cells) in ROWS.iter().zip(&self.cells) {
            let Some(base) = cells.get(original).and_then(|cell| median(&cell.values)) else {
                continue;
            };
            let _ = write!(text, "| {name} |");
            for cell in cells {
                let value =
                    median(&cell.values).filter(|_| !cell.failed).map_or(String::new(), |value| {
                        let (better, worse) = if more { (value, base) } else { (base, value) };
                        // A value of 0 has no ratio.
                        let ratio = if worse > 0.0 {
                            format!("{}x ", two_digits(better / worse))
                        } else {
                            String::new()
                        };
                        let least = cell.values.iter().copied().fold(f64::INFINITY, f64::min);
                        let most = cell.values.iter().copied().fold(0.0, f64::max);
                        let range = if cell.values.len() > 1 {
                            format!(
                                "({} to {}; {})",
                                figure(least, unit),
                                figure(most, unit),
                                cell.values.len()
                            )
                        } else {
                            String::new()
                        };
                        format!("{ratio}{range}").trim().to_owned()
                    });
                let _ = write!(text, "{}|", padded(&value));
            }
            text.push('\n');
        }
        text.push('\n');
        text
    }
}

fn header(columns: &[String]) -> String {
    format!("| | {} |\n|---|{}\n", columns.join(" | "), "---:|".repeat(columns.len()))
}

fn padded(value: &str) -> String {
    if value.is_empty() { " ".to_owned() } else { format!(" {value} ") }
}

/// The median.
#[must_use]
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// A number with two significant digits or more.
pub(crate) fn two_digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        99.5.. => format!("{value:.0}"),
        0.995.. => format!("{value:.1}"),
        0.0995.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Microseconds, megabytes and counts have no tenths.
fn figure(value: f64, unit: &str) -> String {
    if matches!(unit, "us" | "MB/s" | "") && value >= 9.5 {
        format!("{value:.0}")
    } else {
        two_digits(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new(["ours", "daemontools"].into_iter().map(str::to_owned))
    }

    #[test]
    fn the_rows_are_in_the_order_of_their_names() {
        assert!(ROWS.iter().enumerate().all(|(at, row)| row.0 as usize == at));
    }

    #[test]
    fn a_row_is_a_line_of_the_readme() {
        let mut table = table();
        for value in [287.9, 290.0, 200.0] {
            table.add(Row::Thousand, 0, Ok(value));
        }
        table.add(Row::Thousand, 1, Ok(499.0));
        table.add(Row::Thousand, 2, Ok(188.2));
        let text = table.render();
        assert!(text.contains("\n| 1,000 services up | 288 ms | 499 | 188 |\n"), "{text}");
        assert!(text.contains("| 1.7x (200 to 290; 3) | 1.0x | 2.7x |"), "{text}");
        assert!(table.is_good());
    }

    #[test]
    fn work_that_was_not_done_has_no_number() {
        let mut table = table();
        table.add(Row::Stamped, 0, Ok(795.0));
        table.add(Row::Stamped, 0, Err("a line is missing".to_owned()));
        table.add(Row::Stamped, 1, Ok(151.0));
        let text = table.render();
        assert!(text.contains("| failed | 151 | |"), "{text}");
        assert!(text.contains("FAILED: `multilog t`, 120-byte lines, ours: a line is missing\n"));
        assert!(!text.contains("795"));
        assert!(!table.is_good());
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn small_numbers_keep_two_significant_digits() {
        let formatted = [0.0, 0.000_43, 0.55, 6.64, 20.46, 91.6, 1002.0].map(two_digits);
        assert_eq!(formatted, ["0", "0.0004", "0.55", "6.6", "20.5", "91.6", "1002"]);
        assert_eq!(figure(91.6, "KiB"), "91.6");
        assert_eq!(figure(61.7, "us"), "62");
        assert_eq!(figure(0.4, ""), "0.40");
    }
}

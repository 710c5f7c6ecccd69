//! What tasks may still spend. Kept in memory and rebuilt from the log at the start.

use std::collections::HashMap;
use std::sync::Mutex;

use bailiwick_model::id::{ActionId, TaskId};
use bailiwick_model::task::MicroUsd;
use bailiwick_warden::{BudgetBook, BudgetExceeded, Reservation};
use rusqlite::Connection;

use crate::row::{Money, entry_of, from_sql};
use crate::store::{Store, hold};

/// The books of all tasks.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    tasks: HashMap<TaskId, Book>,
    /// Actions that were under way when the process before this one ended. They count as spent in
    /// full until somebody finds out what came of them.
    left_over: HashMap<ActionId, (TaskId, MicroUsd)>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Book {
    granted: MicroUsd,
    spent: MicroUsd,
    reserved: MicroUsd,
}

impl Book {
    fn left(&self) -> MicroUsd {
        self.granted.minus(self.spent).minus(self.reserved)
    }
}

impl Budgets {
    /// Adds up what the log says.
    pub(crate) fn rebuild(connection: &Connection) -> rusqlite::Result<Self> {
        let mut books = Books::default();
        let mut granted = connection
            .prepare(
                "SELECT seq, payload FROM event WHERE name = 'task_submitted'
                 OR (name = 'decided' AND verdict = 'permit' AND payload LIKE '%\"kind\":\"task_raise\"%')
                 ORDER BY seq",
            )?;
        let mut rows = granted.query([])?;
        while let Some(row) = rows.next()? {
            let seq = from_sql(row.get(0)?);
            if let Ok(entry) = entry_of(seq, row.get_ref(1)?.as_bytes()?) {
                books.note(Money::of(&entry.event));
            }
        }
        let mut spent = connection.prepare(
            "SELECT decided.task, decided.action, decided.reserved, max(finished.seq), max(finished.cost)
             FROM event AS decided LEFT JOIN event AS finished
             ON finished.action = decided.action AND finished.name = 'finished'
             WHERE decided.reserved IS NOT NULL GROUP BY decided.seq",
        )?;
        let mut rows = spent.query([])?;
        while let Some(row) = rows.next()? {
            let id = |index| row.get::<_, Option<String>>(index);
            let Some(task) = id(0)?.and_then(|text| text.parse().ok()) else { continue };
            let Some(action) = id(1)?.and_then(|text| text.parse().ok()) else { continue };
            let reserved = MicroUsd(from_sql(row.get(2)?));
            let finished: Option<i64> = row.get(3)?;
            let cost: Option<i64> = row.get(4)?;
            let book = books.tasks.entry(task).or_default();
            book.spent = book.spent.plus(cost.map_or(reserved, |cost| MicroUsd(from_sql(cost))));
            if finished.is_none() {
                books.left_over.insert(action, (task, reserved));
            }
        }
        Ok(Self { books: Mutex::new(books) })
    }

    /// Takes note of an event that was committed.
    pub(crate) fn note(&self, money: Money) {
        hold(&self.books).note(money);
    }

    /// What a task has spent so far, reservations not counted.
    pub(crate) fn spent(&self, task: TaskId) -> MicroUsd {
        hold(&self.books).tasks.get(&task).map_or(MicroUsd(0), |book| book.spent)
    }
}

impl Books {
    fn note(&mut self, money: Money) {
        match money {
            Money::Granted(task, budget) => {
                self.tasks.entry(task).or_default().granted = budget;
            }
            Money::Spent(action, cost) => {
                // What was under way in this process is settled through its reservation.
                let Some((task, reserved)) = self.left_over.remove(&action) else { return };
                if let (Some(book), Some(cost)) = (self.tasks.get_mut(&task), cost) {
                    book.spent = book.spent.minus(reserved).plus(cost);
                }
            }
            Money::Nothing => {}
        }
    }
}

impl BudgetBook for Budgets {
    fn left(&self, task: TaskId) -> MicroUsd {
        hold(&self.books).tasks.get(&task).map_or(MicroUsd(0), Book::left)
    }

    fn reserve(&self, task: TaskId, amount: MicroUsd) -> Result<Reservation, BudgetExceeded> {
        let mut books = hold(&self.books);
        let nothing = || BudgetExceeded { asked: amount, left: MicroUsd(0) };
        let book = books.tasks.get_mut(&task).ok_or_else(nothing)?;
        let left = book.left();
        if amount > left {
            return Err(BudgetExceeded { asked: amount, left });
        }
        book.reserved = book.reserved.plus(amount);
        Ok(Reservation { task, amount })
    }

    fn settle(&self, reservation: Reservation, cost: MicroUsd) {
        if let Some(book) = hold(&self.books).tasks.get_mut(&reservation.task) {
            book.reserved = book.reserved.minus(reservation.amount);
            book.spent = book.spent.plus(cost);
        }
    }
}

impl BudgetBook for Store {
    fn left(&self, task: TaskId) -> MicroUsd {
        self.inner.budgets.left(task)
    }

    fn reserve(&self, task: TaskId, amount: MicroUsd) -> Result<Reservation, BudgetExceeded> {
        self.inner.budgets.reserve(task, amount)
    }

    fn settle(&self, reservation: Reservation, cost: MicroUsd) {
        self.inner.budgets.settle(reservation, cost);
    }
}

impl Store {
    /// What a task has spent so far. Amounts set aside for actions under way are not counted;
    /// actions that a crash cut off are, in full.
    pub fn spent(&self, task: TaskId) -> MicroUsd {
        self.inner.budgets.spent(task)
    }
}

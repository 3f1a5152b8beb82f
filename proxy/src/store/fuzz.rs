//! Rows of the index: written and read again they are the same, and no changed one is taken for what was written.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::index::kept;
use super::row::{encode_vary, intact, millis};
use super::{Digest, Draft, Entry, Part, Provenance, VaryField, headers, schema, seal};
use crate::flow::Class;
use crate::fuzz::fields::{map, number};
use crate::policy::vary;

/// Columns of a row, as they are selected.
const COLUMNS: usize = 23;
/// The check sum's column.
const SEAL: usize = 22;

thread_local! {
    static INDEX: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Runs with a connection to an index without a row.
fn with_index<T>(work: impl FnOnce(&mut Connection) -> T) -> T {
    INDEX.with_borrow_mut(|index| {
        let connection = index.get_or_insert_with(|| {
            let made = Connection::open_in_memory().expect("memory for an index");
            schema::create(&made).expect("its tables");
            made
        });
        work(connection)
    })
}

/// What an answer varies on, once it has been in the index.
pub(crate) fn kept_vary(fields: &[VaryField]) -> Vec<VaryField> {
    super::row::decode_vary(&encode_vary(fields))
}

/// A draft out of bytes, and which of its row's columns to change to what.
pub fn rows(mut data: &[u8]) {
    let draft = draft(&mut data);
    let (size, which) = (number(&mut data) >> 1, number(&mut data));
    let digest = Digest::of(data);
    let text = String::from_utf8_lossy(data).into_owned();
    let stored = with_index(|index| written(index, &draft, digest, size));
    assert_eq!(stored.draft.headers, draft.headers);
    assert_eq!((stored.draft.key, &stored.draft.url), (draft.key, &draft.url));
    assert_eq!((stored.digest, stored.size, stored.draft.part), (digest, size, draft.part));
    assert_eq!(stored.draft.provenance, draft.provenance);
    assert_eq!(millis(stored.draft.responded), millis(draft.responded));
    assert_eq!(encode_vary(&stored.draft.vary), encode_vary(&draft.vary));
    let row = row(&draft, digest, size);
    let same = with_index(|index| read(index, &row)).expect("a row as it was written is read");
    assert_eq!(sum(&same), sum(&stored));
    // One column after another becomes something else: of another type, cut, or the bytes given.
    for shift in 0..4_u32 {
        let at = usize::try_from((which >> (8 * shift)) & 0xff).unwrap_or(0) % COLUMNS;
        let mut changed = row.clone();
        changed[at] = other(which >> (32 + 4 * shift), &row[at], &text, data);
        if let Some(found) = with_index(|index| read(index, &changed)) {
            assert_eq!(sum(&found), sum(&stored), "column {at} became {:?}, and the row was believed", changed[at]);
            assert_eq!(found.draft.headers, stored.draft.headers);
            assert!(
                (found.digest, found.size, found.draft.status) == (stored.digest, stored.size, stored.draft.status)
            );
        }
    }
    // A row of nothing but foreign values.
    let turns = (0..).step_by(3);
    let foreign: Vec<Value> =
        row.iter().zip(turns).map(|(value, turn)| other(which.rotate_right(turn), value, &text, data)).collect();
    if let Some(found) = with_index(|index| read(index, &foreign)) {
        assert_eq!(foreign[SEAL], Value::Integer(sum(&found)));
    }
}

fn draft(data: &mut &[u8]) -> Draft {
    let [bits, requested, responded, from, total] = std::array::from_fn(|_| number(data));
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (fields, rest) = data.split_at(end);
    let fields = map(fields);
    let text =
        |at: u32| (bits & (1 << at) != 0).then(|| String::from_utf8_lossy(&rest[..rest.len().min(20)]).into_owned());
    let at = |number: u64| UNIX_EPOCH + Duration::from_millis(number >> 12);
    let class =
        [Class::Package, Class::Index, Class::Image, Class::Other][usize::try_from(bits >> 60 & 3).unwrap_or(0)];
    *data = rest;
    Draft {
        key: crate::cache::key::hash16(rest),
        url: format!("http://example.org/{}", String::from_utf8_lossy(rest)),
        status: u16::try_from(bits >> 48 & 0xfff).unwrap_or(0),
        vary: vary::fields(&fields, &fields),
        headers: fields,
        requested: at(requested),
        responded: at(responded),
        class,
        part: (bits & 1 != 0).then_some(Part { from, total }),
        provenance: Provenance {
            run: (bits & 2 != 0).then(|| at(total)),
            build: text(2),
            step: text(3),
            route: text(4),
            source: text(5),
            rule: text(6),
        },
    }
}

/// By way of the tables.
fn written(index: &mut Connection, draft: &Draft, digest: Digest, size: u64) -> Entry {
    let transaction = index.transaction().expect("a transaction");
    let entry = kept(&transaction, draft, digest, size).expect("it can be written").expect("what was written is read");
    transaction.rollback().expect("nothing stays");
    entry
}

/// The values of a row, as [`super::ENTRY_COLUMNS`] has them.
fn row(draft: &Draft, digest: Digest, size: u64) -> Vec<Value> {
    let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::Integer);
    let provenance = &draft.provenance;
    vec![
        Value::Integer(1),
        Value::Blob(draft.key.to_vec()),
        Value::Text(draft.url.clone()),
        Value::Integer(i64::from(draft.status)),
        Value::Blob(headers::encode(&draft.headers)),
        Value::Text(encode_vary(&draft.vary)),
        Value::Integer(millis(draft.requested)),
        Value::Integer(millis(draft.responded)),
        Value::Text(draft.class.as_str().to_owned()),
        Value::Integer(0),
        Value::Integer(0),
        Value::Integer(0),
        Value::Blob(digest.0.to_vec()),
        Value::Integer(size.cast_signed()),
        number(draft.part.map(|part| part.from.cast_signed())),
        number(draft.part.map(|part| part.total.cast_signed())),
        number(provenance.run.map(millis)),
        text(&provenance.build),
        text(&provenance.step),
        text(&provenance.route),
        text(&provenance.source),
        text(&provenance.rule),
        Value::Integer(seal::of_entry(draft, &digest, size)),
    ]
}

fn other(how: u64, value: &Value, text: &str, data: &[u8]) -> Value {
    match (how % 8, value) {
        (0, _) => Value::Null,
        (1, _) => Value::Text(text.to_owned()),
        (2, _) => Value::Blob(data.to_vec()),
        (3, _) => Value::Real(f64::from_bits(how)),
        (4, Value::Integer(number)) => Value::Integer(number ^ (1 << (how >> 3 & 63))),
        (5, Value::Integer(number)) => Value::Integer(number.wrapping_neg()),
        (4 | 5, Value::Blob(bytes)) => {
            let mut bytes = bytes.clone();
            let at = usize::try_from(how >> 3).unwrap_or(0) % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (how & 7);
            }
            Value::Blob(bytes)
        }
        (4 | 5, Value::Text(own)) => Value::Text(own.chars().skip(1).collect()),
        (6, _) => Value::Integer(how.cast_signed()),
        _ => value.clone(),
    }
}

fn read(index: &Connection, row: &[Value]) -> Option<Entry> {
    let values: Vec<String> = (1..=COLUMNS).map(|at| format!("?{at}")).collect();
    let mut statement = index.prepare_cached(&format!("SELECT {}", values.join(", "))).expect("a statement");
    statement.query_row(params_from_iter(row), |row| Ok(intact(row))).expect("a row")
}

fn sum(entry: &Entry) -> i64 {
    seal::of_entry(&entry.draft, &entry.digest, entry.size)
}

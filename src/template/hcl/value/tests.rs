use super::*;

#[test]
fn sets_are_ordered_and_without_duplicates() {
    let set = Value::set(Type::String, vec!["b".into(), "a".into(), "b".into()]);
    assert_eq!(set.elements().map(<[Value]>::len), Some(2));
    assert_eq!(set.elements().and_then(|elements| elements[0].as_str()), Some("a"));
    let later = Value::set(Type::String, vec!["b".into(), Value::unknown(Type::String)]);
    assert_eq!(later.kind(), &Kind::Unknown(Type::set(Type::String)));
    let secret = Value::set(Type::String, vec!["b".into(), Value::string("a").mark(true)]);
    assert!(secret.is_sensitive() && secret.children().all(|part| !part.contains_sensitive()));
}

#[test]
fn marks_of_parts_are_found_and_removed() {
    let value = Value::tuple(vec![Value::string("x").mark(true)]);
    assert!(!value.is_sensitive());
    assert!(value.contains_sensitive());
    assert!(!value.unmark_deep().contains_sensitive());
}

#[test]
fn types_are_shown_as_written() {
    let ty = Type::object([("a".to_owned(), Type::list(Type::String))]);
    assert_eq!(ty.to_string(), "object({a = list(string)})");
}

#[test]
fn what_shares_its_parts_costs_nothing_to_copy_and_to_weigh() {
    let mut value = Value::string("x");
    for _ in 0..200 {
        value = Value::tuple(vec![value.clone(), value]);
    }
    assert_eq!(value.weight(), usize::MAX);
    assert_eq!(value.depth(), 200);
    assert!(value.is_wholly_known() && !value.contains_sensitive());
}

#[test]
fn equality_is_by_type() {
    let one = || Value::from(1);
    assert_eq!(one().equals(&"1".into()), Some(false));
    assert_eq!(one().equals(&Value::number(Number::parse("1.0").expect("a number"))), Some(true));
    assert_eq!(Value::null().equals(&Value::null_of(Type::String)), Some(true));
    assert_eq!(Value::tuple(vec![one()]).equals(&Value::list(Type::Number, vec![one()])), Some(false));
    let list = |ty: Type| Value::list(ty, Vec::new());
    assert_eq!(list(Type::Number).equals(&list(Type::String)), Some(false));
    let later = || Value::unknown(Type::Number);
    assert_eq!(one().equals(&later()), None);
    let pair = |left: Value, right: Value| Value::tuple(vec![left, right]);
    assert_eq!(pair(later(), one()).equals(&pair(one(), 2.into())), Some(false));
    assert_eq!(pair(later(), one()).equals(&pair(one(), one())), None);
}

#[test]
fn open_objects_are_not_known_in_full() {
    let build = Value::open_object(BTreeMap::from([("name".to_owned(), "x".into())]));
    assert!(!build.is_wholly_known() && !build.is_unknown());
    assert_eq!(build.equals(&build.clone()), None);
    assert_eq!(build.into_entries().map(|entries| entries.len()), Some(1));
}

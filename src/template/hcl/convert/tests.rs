use super::*;

fn list(ty: Type) -> Type {
    Type::list(ty)
}

#[test]
fn primitives_convert_to_and_from_strings_only() {
    assert_eq!(convert(&"3".into(), &Type::Number), Ok(Value::from(3)));
    assert_eq!(convert(&3.into(), &Type::String), Ok(Value::from("3")));
    assert_eq!(convert(&"true".into(), &Type::Bool), Ok(Value::from(true)));
    assert!(convert(&3.into(), &Type::Bool).is_err());
    assert!(convert(&"x".into(), &Type::Number).is_err());
}

#[test]
fn collections_convert_and_keep_marks() {
    let tuple = Value::tuple(vec!["a".into(), Value::from(1).mark(true)]);
    let converted = convert(&tuple, &list(Type::String)).expect("converts");
    assert_eq!(converted.ty(), list(Type::String));
    assert!(converted.elements().is_some_and(|elements| elements[1].is_sensitive()));
    let object = Value::object(BTreeMap::from([("a".to_owned(), Value::from(1))]));
    let map = convert(&object, &Type::map(Type::String)).expect("converts");
    assert_eq!(map.entries().and_then(|entries| entries["a"].as_str()), Some("1"));
    assert!(convert(&object, &list(Type::String)).is_err());
    let wanted = Type::object([("b".to_owned(), Type::String)]);
    assert_eq!(convert(&object, &wanted), Err("attribute \"b\" is required".to_owned()));
}

#[test]
fn types_unify_as_in_conditionals() {
    assert_eq!(unify(&[Type::Number, Type::String]), Some(Type::String));
    assert_eq!(unify(&[Type::Number, Type::Bool]), None);
    assert_eq!(unify(&[Type::Dynamic, Type::Bool]), Some(Type::Dynamic));
    assert_eq!(unify_unsafe(&[Type::Dynamic, Type::Bool]), Some(Type::Bool));
    // All are looked at: the string takes the others in, wherever it stands.
    assert_eq!(unify(&[Type::Number, Type::Bool, Type::String]), Some(Type::String));
    assert_eq!(unify(&[Type::tuple([]), Type::tuple([Type::String])]), Some(list(Type::String)));
    assert_eq!(unify(&[Type::tuple([Type::Number]), list(Type::String)]), Some(list(Type::String)));
}

#[test]
fn json_goes_both_ways() {
    let text = r#"{"a":[1,"x",null,true],"b":1.5}"#;
    let value = json::decode(text).expect("valid JSON");
    assert_eq!(json::encode(&value).as_deref(), Ok(text));
    assert_eq!(to_json(&value).map(|json| json.to_string()), Ok(text.to_owned()));
    assert!(json::encode(&Value::unknown(Type::Dynamic)).is_err());
    assert!(json::encode(&Value::open_object(BTreeMap::new())).is_err());
    let long = "100000000000000000000000000000001";
    assert_eq!(json::decode(long).and_then(|value| json::encode(&value)).as_deref(), Ok(long));
    for text in ["", "[", "[1,]", "01", "1.", "+1", "1 2", "{a:1}", "\"\\x\"", "\"\\", "nul", "\"a\nb\""] {
        assert!(json::decode(text).is_err(), "{text}");
    }
    assert!(json::decode(&"[".repeat(100_000)).is_err());
}

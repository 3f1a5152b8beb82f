//! How a component describes its options once, and gets them decoded: see [`config!`](crate::config).

use super::hcl::value::Value;
use super::schema::{Mode, OptionSchema, OptionType, Schema, Traits};
use super::source_map::Span;

mod check;
mod decode;
mod from_config;
#[cfg(test)]
mod tests;

pub use decode::{DecodeContext, Decoded, Decoder, decode};

/// Declares the options of a component: makes the struct, its `Default`, its [`Schema`] and its decoding.
///
/// ```
/// larder::config! {
///     /// Runs scripts in the guest.
///     pub struct ScriptConfig {
///         /// Commands, joined by newlines.
///         inline: Vec<String>,
///         /// Where to put the script.
///         #[required]
///         destination: String,
///         /// How to run it. `raw`: Go templates in it are left for the component to render.
///         execute_command: String as raw = "sh {{.Path}}".to_owned(),
///         /// A nested block: the type is itself made by `config!`. `Vec` of it for one that may be repeated.
///         limits: Option<LimitsConfig> as block,
///     }
/// }
/// larder::config! {
///     /// Limits of a script.
///     pub struct LimitsConfig {
///         /// How long it may run.
///         timeout: Option<std::time::Duration>,
///     }
/// }
/// ```
///
/// A field's type is anything that implements [`FromConfig`]: strings, bools, integers, floats, durations, paths,
/// [`Value`], and `Option`, `Vec` and `BTreeMap<String, _>` of them. `as flatten` takes the options of another
/// `config!` struct as if they were listed in place. A name that is a Rust keyword is written `r#type`.
///
/// What else there is to say of a field stands between its comment and its name, in this order:
/// `#[required]`, `#[sensitive]`, `#[values("one", "other")]`, `#[conflicts("other_option")]`,
/// `#[replaced("what takes its place")]`.
#[macro_export]
macro_rules! config {
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $struct:ident {
            $(
                $(#[doc = $help:literal])*
                $(#[required] $(@ $required:tt)?)?
                $(#[sensitive] $(@ $sensitive:tt)?)?
                $(#[values($($value:literal),+ $(,)?)])?
                $(#[conflicts($($conflict:literal),+ $(,)?)])?
                $(#[replaced($replaced:literal)])?
                $name:ident : $type:ty $(as $mode:ident)? $(= $default:expr)?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        $vis struct $struct {
            $( $(#[doc = $help])* pub $name: $type, )*
        }

        impl Default for $struct {
            fn default() -> Self {
                Self { $( $name: $crate::config!(@default $($default)?), )* }
            }
        }

        impl $crate::template::config::Config for $struct {
            fn schema() -> $crate::template::schema::Schema {
                let defaults = Self::default();
                let _ = &defaults;
                let mut schema = $crate::template::schema::Schema {
                    help: $crate::template::schema::help_text(&[$($about),*]),
                    options: Vec::new(),
                };
                $(
                    $crate::template::config::describe::<$type>(
                        &mut schema,
                        stringify!($name),
                        $crate::template::schema::Traits {
                            required: [$( $($required)? true, )? false][0],
                            sensitive: [$( $($sensitive)? true, )? false][0],
                            values: &[$($($value),+)?],
                            conflicts: &[$($($conflict),+)?],
                            replaced_by: $crate::config!(@replaced $($replaced)?),
                        },
                        $crate::config!(@mode $($mode)?),
                        $crate::config!(@shown defaults $name $($default)?),
                        &[$($help),*],
                    );
                )*
                schema
            }

            fn decode_fields(
                body: &$crate::template::config::EvaluatedBody,
                decoder: &mut $crate::template::config::Decoder<'_>,
            ) -> Self {
                let mut config = Self::default();
                $(
                    decoder.field(
                        body,
                        stringify!($name),
                        $crate::template::schema::Traits {
                            required: [$( $($required)? true, )? false][0],
                            sensitive: [$( $($sensitive)? true, )? false][0],
                            values: &[$($($value),+)?],
                            conflicts: &[$($($conflict),+)?],
                            replaced_by: $crate::config!(@replaced $($replaced)?),
                        },
                        $crate::config!(@mode $($mode)?),
                        &mut config.$name,
                    );
                )*
                config
            }
        }

        impl $crate::template::config::FromConfig for $struct {
            fn option_type() -> $crate::template::schema::OptionType {
                $crate::template::schema::OptionType::Block
            }

            fn nested() -> Option<$crate::template::schema::Schema> {
                Some(<Self as $crate::template::config::Config>::schema())
            }

            fn from_config(
                item: &$crate::template::config::Item,
                decoder: &mut $crate::template::config::Decoder<'_>,
            ) -> Option<Self> {
                decoder.nested(item)
            }

            fn from_flat(
                body: &$crate::template::config::EvaluatedBody,
                decoder: &mut $crate::template::config::Decoder<'_>,
            ) -> Option<Self> {
                Some(<Self as $crate::template::config::Config>::decode_fields(body, decoder))
            }
        }
    };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@shown $defaults:ident $name:ident) => { None };
    (@shown $defaults:ident $name:ident $default:expr) => {
        Some($crate::template::config::FromConfig::show(&$defaults.$name))
    };
    (@replaced) => { None };
    (@replaced $replaced:literal) => { Some($replaced) };
    (@mode) => { $crate::template::config::FieldMode::Plain };
    (@mode raw) => { $crate::template::config::FieldMode::Raw };
    (@mode block) => { $crate::template::config::FieldMode::Block };
    (@mode flatten) => { $crate::template::config::FieldMode::Flatten };
}

/// How [`config!`](crate::config) was told to treat a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldMode {
    /// An attribute whose strings are Go templates.
    Plain,
    /// An attribute whose strings are left as they are.
    Raw,
    /// A nested block.
    Block,
    /// Options of another struct, in place.
    Flatten,
}

/// A struct made by [`config!`](crate::config).
pub trait Config: Default {
    /// Describes the options.
    fn schema() -> Schema;

    /// Decodes what `body` holds of the options; says nothing about names it does not know.
    fn decode_fields(body: &EvaluatedBody, decoder: &mut Decoder<'_>) -> Self;
}

/// A type an option can have.
pub trait FromConfig: Default {
    /// What may be given.
    fn option_type() -> OptionType;

    /// Decodes a value that is known and not null. Reports what is wrong and returns `None` if it cannot.
    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self>;

    /// The options, if it is a nested block.
    fn nested() -> Option<Schema> {
        None
    }

    /// Decodes it from the body around it.
    fn from_flat(body: &EvaluatedBody, decoder: &mut Decoder<'_>) -> Option<Self> {
        let _ = (body, decoder);
        None
    }

    /// The value as a template would write it.
    fn show(&self) -> String {
        String::new()
    }

    /// Whether it takes values that are not known yet as they are.
    fn takes_unknown() -> bool {
        false
    }
}

/// The body of a block, its expressions evaluated.
#[derive(Clone, Debug)]
pub struct EvaluatedBody {
    /// Where the block's header is.
    pub header: Span,
    /// Attributes and nested blocks, in order.
    pub entries: Vec<Entry>,
}

/// An attribute or nested block of an [`EvaluatedBody`].
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name of the option.
    pub name: String,
    /// Where the name is.
    pub name_span: Span,
    /// What it is set to.
    pub item: Item,
}

/// What an option is set to.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where it is.
    pub span: Span,
    /// What it is.
    pub content: Content,
}

/// The content of an [`Item`].
#[derive(Clone, Debug)]
pub enum Content {
    /// An attribute's value.
    Value(Value),
    /// One nested block.
    Block(EvaluatedBody),
    /// Several nested blocks of one name.
    Blocks(Vec<EvaluatedBody>),
}

impl Item {
    pub(crate) fn value(&self) -> Option<&Value> {
        match &self.content {
            Content::Value(value) => Some(value),
            Content::Block(_) | Content::Blocks(_) => None,
        }
    }

    /// What it is called in a message.
    pub fn describe(&self) -> String {
        match &self.content {
            Content::Value(value) => value.describe(),
            Content::Block(_) | Content::Blocks(_) => "a block".to_owned(),
        }
    }

    /// The same place with another value: an element of a list has the span of the list.
    #[must_use]
    pub fn part(&self, value: Value) -> Self {
        Self { span: self.span, content: Content::Value(value) }
    }
}

impl EvaluatedBody {
    /// Sets options over those of the body: an entry of the same name is replaced.
    pub fn replace(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            self.entries.retain(|old| old.name != entry.name);
            self.entries.push(entry);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<(Span, Item)> {
        let mut found = self.entries.iter().filter(|entry| entry.name == name);
        let first = found.next()?;
        let mut blocks = match &first.item.content {
            Content::Block(body) => vec![body.clone()],
            _ => return Some((first.name_span, first.item.clone())),
        };
        blocks.extend(found.filter_map(|entry| match &entry.item.content {
            Content::Block(body) => Some(body.clone()),
            _ => None,
        }));
        if blocks.len() == 1 {
            return Some((first.name_span, first.item.clone()));
        }
        Some((first.name_span, Item { span: first.item.span, content: Content::Blocks(blocks) }))
    }
}

/// Adds an option to a schema; for [`config!`](crate::config).
pub fn describe<T: FromConfig>(
    schema: &mut Schema,
    name: &'static str,
    traits: Traits,
    mode: FieldMode,
    default: Option<String>,
    help: &[&str],
) {
    let mode = match mode {
        FieldMode::Flatten => {
            schema.options.extend(T::nested().into_iter().flat_map(|nested| nested.options));
            return;
        }
        FieldMode::Plain => Mode::Plain,
        FieldMode::Raw => Mode::Raw,
        FieldMode::Block => Mode::Block,
    };
    schema.options.push(OptionSchema {
        name: option_name(name),
        ty: T::option_type(),
        traits,
        default,
        help: super::schema::help_text(help),
        mode,
        nested: T::nested(),
    });
}

fn option_name(name: &'static str) -> &'static str {
    name.strip_prefix("r#").unwrap_or(name)
}

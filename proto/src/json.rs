//! The JSON form of single fields: identifiers as strings, times as RFC 3339 with microseconds, enums
//! by their lower-case names. The modules are named by `build.rs` in serde's `with` attributes.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// How one kind of field is written and read; the shapes below build on it.
trait Form {
    type Raw: Copy;
    fn write<S: Serializer>(raw: Self::Raw, serializer: S) -> Result<S::Ok, S::Error>;
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self::Raw, D::Error>;
}

/// Carries a field's form through serde's containers.
struct Formed<F: Form>(F::Raw);

impl<F: Form> Serialize for Formed<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        F::write(self.0, serializer)
    }
}

impl<'de, F: Form> Deserialize<'de> for Formed<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        F::read(deserializer).map(Self)
    }
}

macro_rules! shapes {
    ($module:ident, $form:ident, $raw:ty) => {
        pub(crate) mod $module {
            use super::{Form, $form};

            pub(crate) mod plain {
                use super::{Form, $form};

                #[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
                pub(crate) fn serialize<S: serde::Serializer>(raw: &$raw, serializer: S) -> Result<S::Ok, S::Error> {
                    $form::write(*raw, serializer)
                }

                pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<$raw, D::Error> {
                    $form::read(deserializer)
                }
            }

            #[allow(dead_code, reason = "not every kind of field has an optional one yet")]
            pub(crate) mod optional {
                use super::super::Formed;
                use super::$form;
                use serde::{Deserialize, Serialize};

                #[allow(clippy::ref_option, reason = "the signature is serde's")]
                pub(crate) fn serialize<S: serde::Serializer>(
                    raw: &Option<$raw>,
                    serializer: S,
                ) -> Result<S::Ok, S::Error> {
                    raw.map(Formed::<$form>).serialize(serializer)
                }

                pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
                    deserializer: D,
                ) -> Result<Option<$raw>, D::Error> {
                    Ok(Option::<Formed<$form>>::deserialize(deserializer)?.map(|formed| formed.0))
                }
            }

            #[allow(dead_code, reason = "not every kind of field has a list yet")]
            pub(crate) mod list {
                use super::super::Formed;
                use super::$form;
                use serde::Deserialize;

                pub(crate) fn serialize<S: serde::Serializer>(raw: &[$raw], serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_seq(raw.iter().map(|raw| Formed::<$form>(*raw)))
                }

                pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(
                    deserializer: D,
                ) -> Result<Vec<$raw>, D::Error> {
                    Ok(Vec::<Formed<$form>>::deserialize(deserializer)?.into_iter().map(|formed| formed.0).collect())
                }
            }
        }
    };
}

shapes!(id, Id, u64);
shapes!(time, Time, i64);
shapes!(role_name, RoleName, i32);
shapes!(room_kind_name, RoomKindName, i32);
shapes!(history_visibility_name, HistoryVisibilityName, i32);
shapes!(reset_reason_name, ResetReasonName, i32);

/// Text that is borrowed where the input allows it.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

struct Id;

impl Form for Id {
    type Raw = u64;

    fn write<S: Serializer>(raw: u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&raw)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = Text::deserialize(deserializer)?.0;
        crate::ids::parse_raw(&text).map_err(D::Error::custom)
    }
}

struct Time;

impl Form for Time {
    type Raw = i64;

    fn write<S: Serializer>(raw: i64, serializer: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::from_microsecond(raw).map_err(serde::ser::Error::custom)?;
        serializer.collect_str(&format_args!("{time:.6}"))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = Text::deserialize(deserializer)?.0;
        let time: jiff::Timestamp = text
            .parse()
            .map_err(|_| D::Error::custom("not a time: expected RFC 3339, such as 2026-01-31T12:00:00.000000Z"))?;
        Ok(time.as_microsecond())
    }
}

macro_rules! enum_name {
    ($form:ident, $kind:ident, $prefix:literal) => {
        struct $form;

        impl Form for $form {
            type Raw = i32;

            fn write<S: Serializer>(raw: i32, serializer: S) -> Result<S::Ok, S::Error> {
                let name = crate::wire::$kind::try_from(raw).unwrap_or_default().as_str_name();
                serializer.collect_str(&name.trim_start_matches($prefix).to_ascii_lowercase())
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
                let text = Text::deserialize(deserializer)?.0;
                let name = format!(concat!($prefix, "{}"), text.to_ascii_uppercase());
                crate::wire::$kind::from_str_name(&name)
                    .map(|kind| kind as i32)
                    .ok_or_else(|| D::Error::custom(format_args!(concat!("not a ", stringify!($kind), ": {:?}"), text)))
            }
        }
    };
}

enum_name!(RoleName, Role, "ROLE_");
enum_name!(RoomKindName, RoomKind, "ROOM_KIND_");
enum_name!(HistoryVisibilityName, HistoryVisibility, "HISTORY_VISIBILITY_");
enum_name!(ResetReasonName, ResetReason, "RESET_REASON_");

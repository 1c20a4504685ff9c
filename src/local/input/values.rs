//! The kinds of values that members have, and how values of other kinds are refused.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

/// A string of the request, borrowed from its bytes unless it held an escape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::local) struct Text<'a>(pub Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

/// Refuses kinds of JSON values, in the words of the framework that AWS's services read them with.
macro_rules! refuse {
    ($wanted:literal: $($kind:ident)*) => { $(refuse!(@ $kind $wanted);)* };
    (@ boolean $wanted:literal) => {
        fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
            Err(E::custom(format_args!(concat!("{}_VALUE can not be converted to ", $wanted), if value { "TRUE" } else { "FALSE" })))
        }
    };
    (@ number $wanted:literal) => {
        fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Self::Value, E> {
            Err(E::custom(concat!("NUMBER_VALUE can not be converted to ", $wanted)))
        }
        fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Self::Value, E> {
            self.visit_i64(0)
        }
        refuse!(@ fraction $wanted);
    };
    (@ fraction $wanted:literal) => {
        fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
            Err(E::custom(concat!("NUMBER_VALUE can not be converted to ", $wanted)))
        }
    };
    (@ string $wanted:literal) => {
        fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
            Err(E::custom(concat!("STRING_VALUE can not be converted to ", $wanted)))
        }
    };
    (@ scalar_list $wanted:literal) => {
        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            // Java's name of the class comes after the article.
            let class = $wanted.rsplit(' ').next().unwrap_or_default();
            Err(serde::de::Error::custom(format_args!("Unrecognized collection type class java.lang.{class}")))
        }
    };
    (@ list $wanted:literal) => {
        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err(serde::de::Error::custom("Start of list found where not expected"))
        }
    };
    (@ object $wanted:literal) => {
        fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err(serde::de::Error::custom("Start of structure or map found where not expected."))
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            refuse!("a String": boolean number scalar_list object);
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

/// The value of an attribute or a tag: a string, or what a client without types wrote instead, as a string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::local) struct CastText<'a>(pub Text<'a>);

impl std::ops::Deref for CastText<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for CastText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CastText<'a>, D::Error> {
        struct CastVisitor;
        impl<'de> Visitor<'de> for CastVisitor {
            type Value = CastText<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string, a number or a boolean")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<CastText<'de>, E> {
                Ok(CastText(Text(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<CastText<'de>, E> {
                Ok(CastText(Text(Cow::Owned(text.to_owned()))))
            }
            fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<CastText<'de>, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<CastText<'de>, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<CastText<'de>, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<CastText<'de>, E> {
                self.visit_str(&value.to_string())
            }
            refuse!("a String": scalar_list object);
        }
        deserializer.deserialize_any(CastVisitor)
    }
}

/// A number; clients that take a boolean for one may send it as it is.
pub(super) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    struct Integer(i64);
    impl<'de> Deserialize<'de> for Integer {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Integer, D::Error> {
            struct IntegerVisitor;
            impl<'de> Visitor<'de> for IntegerVisitor {
                type Value = Integer;
                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("an integer")
                }
                fn visit_bool<E>(self, value: bool) -> Result<Integer, E> {
                    Ok(Integer(value.into()))
                }
                fn visit_i64<E>(self, value: i64) -> Result<Integer, E> {
                    Ok(Integer(value))
                }
                fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Integer, E> {
                    i64::try_from(value).map(Integer).or_else(|_| self.visit_f64(0.0))
                }
                refuse!("an Integer": fraction string scalar_list object);
            }
            deserializer.deserialize_any(IntegerVisitor)
        }
    }
    Ok(Option::<Integer>::deserialize(deserializer)?.map(|number| number.0))
}

/// A JSON object of known members: serde would take an array for one, its elements for the members in order.
#[derive(Debug)]
pub(in crate::local) struct Object<T>(T);

impl<T> std::ops::Deref for Object<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(access)).map(Object)
            }
            refuse!("a structure": boolean number string list);
        }
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

/// The most elements of a list or an object that are taken in. Those of SQS have ten, or fifty tags; a body can hold
/// millions, each of which would take a hundred times its size in memory.
const MAX_ELEMENTS: usize = 200;

fn check_number<E: serde::de::Error>(taken: usize) -> Result<(), E> {
    if taken < MAX_ELEMENTS {
        return Ok(());
    }
    Err(E::custom(format_args!("a list or an object has more than {MAX_ELEMENTS} elements")))
}

/// A JSON array.
#[derive(Debug)]
pub(in crate::local) struct List<T>(Vec<T>);

impl<T> std::ops::Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<T>, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<List<T>, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = access.next_element()? {
                    check_number(elements.len())?;
                    elements.push(element);
                }
                Ok(List(elements))
            }
            refuse!("a list": boolean number string object);
        }
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// A JSON object kept as pairs: those of SQS are small, and their order is the sender's. Of a name that comes twice the
/// last value counts.
#[derive(Clone, Debug)]
pub(in crate::local) struct Map<'a, T>(pub Vec<(Text<'a>, T)>);

impl<T> Default for Map<'_, T> {
    fn default() -> Self {
        Map(Vec::new())
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Map<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Map<'a, T>, D::Error> {
        struct MapVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for MapVisitor<T> {
            type Value = Map<'de, T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Map<'de, T>, A::Error> {
                let mut pairs: Vec<(Text<'de>, T)> = Vec::new();
                while let Some((name, value)) = access.next_entry::<Text<'de>, T>()? {
                    match pairs.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, known)) => *known = value,
                        None => {
                            check_number(pairs.len())?;
                            pairs.push((name, value));
                        }
                    }
                }
                Ok(Map(pairs))
            }
            refuse!("a map": boolean number string list);
        }
        deserializer.deserialize_any(MapVisitor(PhantomData))
    }
}

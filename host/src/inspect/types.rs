//! Types as WIT writes them: by their names where the component gives them one, in full where it does not.

use std::collections::{HashMap, HashSet};
use std::fmt;

use wasmparser::PrimitiveValType as Primitive;
use wasmparser::component_types::{
    AliasableResourceId, ComponentAnyTypeId as TypeId, ComponentDefinedType as Defined, ComponentDefinedTypeId,
    ComponentEntityType, ComponentFuncTypeId, ComponentValType,
};
use wasmparser::types::Types;

/// The most characters of one type: a few bytes of a component can stand for a type without end.
const MOST_CHARACTERS: usize = 4000;

/// The names that a component gives to its types: those of its world as they are, those of an interface after the
/// interface's name.
pub(super) struct Names<'a> {
    types: &'a Types,
    names: HashMap<TypeId, String>,
}

impl<'a> Names<'a> {
    /// Reads them from the component's imports and exports.
    pub(super) fn new(types: &'a Types, items: &[(&str, ComponentEntityType)]) -> Self {
        let mut names = HashMap::new();
        for (name, item) in items {
            if let ComponentEntityType::Type { created, .. } = item {
                names.entry(*created).or_insert_with(|| (*name).to_owned());
            }
        }
        for (interface, item) in items {
            let ComponentEntityType::Instance(id) = item else { continue };
            for (name, item) in &types[*id].exports {
                if let ComponentEntityType::Type { created, .. } = item.ty {
                    names.entry(created).or_insert_with(|| format!("{interface}.{name}"));
                }
            }
        }
        Self { types, names }
    }

    /// The name of a type, or of the nearest one that it is an alias of.
    fn get(&self, mut id: TypeId) -> Option<&str> {
        loop {
            match self.names.get(&id) {
                Some(name) => return Some(name),
                None => id = self.types.peel_alias(id)?,
            }
        }
    }

    /// A function's type; the named types in it are added to `used` in their order.
    pub(super) fn function(&self, id: ComponentFuncTypeId, used: &mut Used) -> Function {
        let function = &self.types[id];
        let mut write = |ty: &ComponentValType| {
            let mut text = Text { names: self, used, text: String::new() };
            text.value(ty);
            text.text
        };
        Function {
            is_async: function.async_,
            in_json: self.in_json(function.params.iter().map(|(_, ty)| ty).chain(&function.result).collect()),
            parameters: function.params.iter().map(|(name, ty)| (name.to_string(), write(ty))).collect(),
            result: function.result.as_ref().map(write),
        }
    }

    /// Whether values of these types can be told in JSON: resources, futures and streams cannot. Looks at every type
    /// in them once, however deep it is.
    fn in_json<'t>(&'t self, mut open: Vec<&'t ComponentValType>) -> bool {
        let mut seen = HashSet::new();
        while let Some(ty) = open.pop() {
            match ty {
                ComponentValType::Primitive(primitive) if *primitive == Primitive::ErrorContext => return false,
                ComponentValType::Type(id) if seen.insert(*id) => match parts(&self.types[*id]) {
                    Some(parts) => open.extend(parts),
                    None => return false,
                },
                _ => {}
            }
        }
        true
    }

    /// The definitions of the types that were used, and of those that are used in them.
    pub(super) fn definitions(&self, mut used: Used) -> Vec<(String, String)> {
        let mut definitions = Vec::new();
        while let Some((name, id)) = used.order.get(definitions.len()).cloned() {
            let mut text = Text { names: self, used: &mut used, text: String::new() };
            text.definition(&name, id);
            definitions.push((name, text.text));
        }
        definitions
    }
}

/// A function's type.
pub(super) struct Function {
    is_async: bool,
    in_json: bool,
    /// The parameters' names and types.
    pub(super) parameters: Vec<(String, String)>,
    /// The result's type.
    pub(super) result: Option<String>,
}

impl Function {
    /// Whether it can be a tool: it is not asynchronous, and all of its types can be told in JSON.
    pub(super) fn is_fit(&self) -> bool {
        self.in_json && !self.is_async
    }
}

impl fmt::Display for Function {
    /// As WIT writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters: Vec<String> = self.parameters.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
        let keyword = if self.is_async { "async func" } else { "func" };
        write!(f, "{keyword}({})", parameters.join(", "))?;
        self.result.as_ref().map_or(Ok(()), |result| write!(f, " -> {result}"))
    }
}

/// The types that a type consists of; none for one that JSON cannot tell.
fn parts(ty: &Defined) -> Option<Vec<&ComponentValType>> {
    Some(match ty {
        Defined::Primitive(primitive) if *primitive == Primitive::ErrorContext => return None,
        Defined::Primitive(_) | Defined::Enum(_) | Defined::Flags(_) => Vec::new(),
        Defined::Record(record) => record.fields.values().collect(),
        Defined::Variant(variant) => variant.cases.values().filter_map(|case| case.ty.as_ref()).collect(),
        Defined::List { element: ty, .. } | Defined::Option { ty, .. } => vec![ty],
        Defined::Tuple(tuple) => tuple.types.iter().collect(),
        Defined::Result { ok, err, .. } => ok.iter().chain(err).collect(),
        _ => return None,
    })
}

/// The named types that were written, in their order.
#[derive(Default)]
pub(super) struct Used {
    order: Vec<(String, TypeId)>,
    names: HashSet<String>,
}

impl Used {
    fn add(&mut self, name: &str, id: TypeId) {
        if self.names.insert(name.to_owned()) {
            self.order.push((name.to_owned(), id));
        }
    }
}

/// A type's text, as it grows.
struct Text<'a, 'b> {
    names: &'a Names<'a>,
    used: &'b mut Used,
    text: String,
}

impl Text<'_, '_> {
    fn is_full(&self) -> bool {
        self.text.len() > MOST_CHARACTERS
    }

    fn push(&mut self, text: &str) {
        if self.is_full() {
            return;
        }
        self.text.push_str(text);
        if self.is_full() {
            self.text.push('…');
        }
    }

    /// Writes a type by its name, or else in full.
    fn value(&mut self, ty: &ComponentValType) {
        match ty {
            ComponentValType::Primitive(primitive) => self.primitive(*primitive),
            ComponentValType::Type(id) => match self.names.get(TypeId::Defined(*id)) {
                Some(name) => {
                    self.push(name);
                    self.used.add(name, TypeId::Defined(*id));
                }
                None => self.defined(*id),
            },
        }
    }

    fn primitive(&mut self, primitive: Primitive) {
        self.push(match primitive {
            Primitive::Bool => "bool",
            Primitive::S8 => "s8",
            Primitive::U8 => "u8",
            Primitive::S16 => "s16",
            Primitive::U16 => "u16",
            Primitive::S32 => "s32",
            Primitive::U32 => "u32",
            Primitive::S64 => "s64",
            Primitive::U64 => "u64",
            Primitive::F32 => "f32",
            Primitive::F64 => "f64",
            Primitive::Char => "char",
            Primitive::String => "string",
            Primitive::ErrorContext => "error-context",
        });
    }

    /// Writes a named type's definition.
    fn definition(&mut self, name: &str, id: TypeId) {
        let keyword = match id {
            TypeId::Defined(id) => match &self.names.types[id] {
                Defined::Record(_) | Defined::Variant(_) | Defined::Enum(_) | Defined::Flags(_) => {
                    return self.declared(name, id);
                }
                _ => "type",
            },
            _ => "resource",
        };
        self.push(&format!("{keyword} {name}"));
        if let TypeId::Defined(id) = id {
            self.push(" = ");
            self.defined(id);
        }
    }

    /// Writes `record name { … }`; in full, `name` is empty.
    fn declared(&mut self, name: &str, id: ComponentDefinedTypeId) {
        let space = if name.is_empty() { "" } else { " " };
        let types = self.names.types;
        match &types[id] {
            Defined::Record(record) => {
                self.push(&format!("record{space}{name} "));
                self.braces(record.fields.iter(), |text, (name, ty)| {
                    text.push(&format!("{name}: "));
                    text.value(ty);
                });
            }
            Defined::Variant(variant) => {
                self.push(&format!("variant{space}{name} "));
                self.braces(variant.cases.iter(), |text, (name, case)| {
                    text.push(name);
                    if let Some(ty) = &case.ty {
                        text.arguments("", &[Some(ty)], ["(", ")"]);
                    }
                });
            }
            Defined::Enum(names) => {
                self.push(&format!("enum{space}{name} "));
                self.braces(names.iter(), |text, name| text.push(name));
            }
            Defined::Flags(names) => {
                self.push(&format!("flags{space}{name} "));
                self.braces(names.iter(), |text, name| text.push(name));
            }
            _ => {}
        }
    }

    /// Writes a type in full.
    fn defined(&mut self, id: ComponentDefinedTypeId) {
        if self.is_full() {
            return;
        }
        let types = self.names.types;
        match &types[id] {
            Defined::Primitive(primitive) => self.primitive(*primitive),
            Defined::Record(_) | Defined::Variant(_) | Defined::Enum(_) | Defined::Flags(_) => self.declared("", id),
            Defined::List { element, .. } => self.angles("list", &[Some(element)]),
            Defined::Option { ty, .. } => self.angles("option", &[Some(ty)]),
            Defined::Tuple(tuple) => self.angles("tuple", &tuple.types.iter().map(Some).collect::<Vec<_>>()),
            Defined::Result { ok: None, err: None, .. } => self.push("result"),
            Defined::Result { ok, err: None, .. } => self.angles("result", &[ok.as_ref()]),
            Defined::Result { ok, err, .. } => self.angles("result", &[ok.as_ref(), err.as_ref()]),
            other => self.handle_or_stream(other),
        }
    }

    /// Writes a type that no tool can have.
    fn handle_or_stream(&mut self, ty: &Defined) {
        match ty {
            Defined::Map { key, value, .. } => self.angles("map", &[Some(key), Some(value)]),
            Defined::FixedLengthList { element, length, .. } => {
                self.push("list<");
                self.value(element);
                self.push(&format!(", {length}>"));
            }
            Defined::Own(resource) => self.handle("own", *resource),
            Defined::Borrow(resource) => self.handle("borrow", *resource),
            Defined::Future { ty, .. } => self.payload("future", ty.as_ref()),
            Defined::Stream { ty, .. } => self.payload("stream", ty.as_ref()),
            _ => self.push("?"),
        }
    }

    fn payload(&mut self, name: &str, ty: Option<&ComponentValType>) {
        match ty {
            Some(ty) => self.angles(name, &[Some(ty)]),
            None => self.push(name),
        }
    }

    fn handle(&mut self, kind: &str, resource: AliasableResourceId) {
        let id = TypeId::Resource(resource);
        let name = self.names.get(id);
        self.push(&format!("{kind}<{}>", name.unwrap_or("_")));
        if let Some(name) = name {
            self.used.add(name, id);
        }
    }

    fn angles(&mut self, name: &str, types: &[Option<&ComponentValType>]) {
        self.arguments(name, types, ["<", ">"]);
    }

    fn arguments(&mut self, name: &str, types: &[Option<&ComponentValType>], [open, close]: [&str; 2]) {
        self.push(name);
        self.push(open);
        for (at, ty) in types.iter().enumerate() {
            self.push(if at == 0 { "" } else { ", " });
            match ty {
                Some(ty) => self.value(ty),
                None => self.push("_"),
            }
        }
        self.push(close);
    }

    fn braces<T>(&mut self, items: impl Iterator<Item = T>, write: impl Fn(&mut Self, T)) {
        for (at, item) in items.enumerate() {
            self.push(if at == 0 { "{ " } else { ", " });
            write(self, item);
        }
        self.push(" }");
    }
}

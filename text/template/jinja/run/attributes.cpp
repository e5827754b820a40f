#include "text/template/jinja/run/attributes.h"

#include <algorithm>

#include "engine/base/text/utf8.h"
#include "text/template/jinja/run/methods.h"
#include "text/template/jinja/value/print.h"

namespace mmbatch::jinja {
namespace {

std::string object_of(const Value& value) {
  return value.is_none() ? "None" : type_name(value) + " object";
}

Value missing(const Value& value, const Value& key) {
  if (key.string() != nullptr) {
    return Value::undefined(repr(Value(object_of(value))) + " has no attribute " +
                            repr(Value(*key.string())));
  }
  return Value::undefined(object_of(value) + " has no element " + repr(key));
}

bool is_unsafe(const Value& value, std::string_view name) {
  if (name.starts_with('_')) return true;
  const auto among = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (value.is<ListRef>())
    return among({"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"});
  if (value.dict() != nullptr) return among({"clear", "pop", "popitem", "setdefault", "update"});
  return false;
}

/// A method, or an attribute of an object.
std::optional<Value> own_attribute(const Value& value, std::string_view name) {
  if (const auto* object = value.get<std::shared_ptr<Object>>()) return (*object)->attribute(name);
  return find_method(value, name);
}

std::optional<Value> own_element(const Value& value, const Value& key) {
  if (const Dict* dict = value.dict()) {
    if (key.is<ListRef>() || key.dict() != nullptr) return std::nullopt;  // cannot be hashed
    const Value* found = dict->find(key);
    return found == nullptr ? std::nullopt : std::optional<Value>(*found);
  }
  const auto index = key.integer();
  if (!index) return std::nullopt;
  if (const auto* object = value.get<std::shared_ptr<Object>>()) return (*object)->element(*index);
  if (value.items() == nullptr && value.string() == nullptr) return std::nullopt;
  const auto size = static_cast<Int>(length(value));
  const Int at = *index < 0 ? *index + size : *index;
  if (at < 0 || at >= size) return std::nullopt;
  if (const List* items = value.items()) return (*items)[static_cast<std::size_t>(at)];
  const Value one = slice(value, Value(at), Value(at + 1), Value());
  return one;
}

}  // namespace

Value attribute(const Value& value, std::string_view name) {
  if (value.is_undefined()) fail_undefined(value);
  if (is_unsafe(value, name)) {
    if (const Dict* dict = value.dict(); dict != nullptr && name.starts_with('_')) {
      if (const Value* found = dict->find(name)) return *found;
    }
    return Value::undefined("access to attribute '" + std::string(name) + "' of '" + type_name(value) +
                            "' object is unsafe.");
  }
  if (auto own = own_attribute(value, name)) return std::move(*own);
  if (const Dict* dict = value.dict()) {
    if (const Value* found = dict->find(name)) return *found;
  }
  return missing(value, Value(name));
}

Value element(const Value& value, const Value& key) {
  if (value.is_undefined()) fail_undefined(value);
  if (auto own = own_element(value, key)) return std::move(*own);
  if (const std::string* name = key.string()) {
    if (is_unsafe(value, *name)) return attribute(value, *name);
    if (auto own = own_attribute(value, *name)) return std::move(*own);
  }
  return missing(value, key);
}

Value slice(const Value& value, const Value& start, const Value& stop, const Value& step) {
  if (value.is_undefined()) fail_undefined(value);
  const auto bound = [](const Value& part) -> std::optional<Int> {
    if (part.is_none()) return std::nullopt;
    if (const auto integer = part.integer()) return integer;
    throw RenderError("slice indices must be integers or None or have an __index__ method");
  };
  const Int by = bound(step).value_or(1);
  if (by == 0) throw RenderError("slice step cannot be zero");
  const std::string* text = value.string();
  List items;
  std::vector<std::uint32_t> begins;  // of the characters of a text, and its end
  if (const List* own = value.items()) {
    items = *own;
  } else if (text != nullptr) {
    charge(text->size());
    for (std::size_t at = 0; at < text->size(); next_code_point(*text, at))
      begins.push_back(static_cast<std::uint32_t>(at));
    begins.push_back(static_cast<std::uint32_t>(text->size()));
  } else if (const auto range = value.object<Sequence>(); range && range->is_sequence()) {
    items = *range->iterate();
  } else {
    throw RenderError("'" + type_name(value) + "' object is not subscriptable");
  }
  charge(items.size() * sizeof(Value));
  const auto size = static_cast<Int>(text != nullptr ? begins.size() - 1 : items.size());
  const auto clamp = [&](Int at) {
    if (at < 0) at += size;
    return by > 0 ? std::clamp<Int>(at, 0, size) : std::clamp<Int>(at, -1, size - 1);
  };
  const auto first = bound(start), last = bound(stop);
  Int at = first ? clamp(*first) : by > 0 ? Int{0} : size - 1;
  const Int end = last ? clamp(*last) : by > 0 ? size : Int{-1};
  const Int stride = std::clamp<Int>(by, -size - 1, size + 1);
  List out;
  std::string joined;
  for (; by > 0 ? at < end : at > end; at += stride) {
    const auto i = static_cast<std::size_t>(at);
    if (text != nullptr) {
      joined.append(*text, begins[i], begins[i + 1] - begins[i]);
    } else {
      out.push_back(items[i]);
    }
  }
  if (text != nullptr) return Value::text(std::move(joined), value.is_safe());
  return value.is<TupleRef>() ? Value::tuple(std::move(out)) : Value::list(std::move(out));
}

Value attribute_path(const Value& value, const Value& path) {
  if (path.string() == nullptr) return element(value, path);
  Value at = value;
  const std::string& text = *path.string();
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t dot = std::min(text.find('.', begin), text.size());
    const std::string part = text.substr(begin, dot - begin);
    const bool number =
        !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == std::string::npos;
    if (at.is_undefined()) return at;
    at = element(at, number ? Value::integer(std::stoll(part)) : Value(part));
    begin = dot + 1;
  }
  return at;
}

}  // namespace mmbatch::jinja

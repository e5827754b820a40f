// Jinja's filters of lists and dictionaries.

#include <algorithm>
#include <map>

#include "text/template/jinja/run/attributes.h"
#include "text/template/jinja/run/filters.h"
#include "text/template/jinja/text/text_case.h"
#include "text/template/jinja/value/operators.h"
#include "text/template/jinja/value/print.h"

namespace mmbatch::jinja {
namespace {

using Arg = const Arguments&;
using Val = const Value&;

Value generator(List items, std::string type = "generator") {
  charge(items.size() * sizeof(Value));
  return Value(
      std::static_pointer_cast<Object>(std::make_shared<Generator>(std::move(items), std::move(type))));
}

/// What items are compared by: an attribute, in lower case unless case counts.
Value key_of(Val item, const Value* attribute, bool case_sensitive) {
  const Value value = attribute == nullptr || attribute->is_none() ? item : attribute_path(item, *attribute);
  return !case_sensitive && value.string() != nullptr ? Value(lower(*value.string())) : value;
}

bool less(Val a, Val b) {
  return ordered("<", a, b);
}

Value join(Val value, Arg arguments) {
  arguments.check("join", 2, {"d", "attribute"});
  const Value* by = arguments.find(0, "d");
  const Value* attribute = arguments.find(1, "attribute");
  const std::string separator = by == nullptr ? "" : print(*by);
  std::string out;
  bool first = true;
  for (const Value& item : iterate(value)) {
    if (!first) out += separator;
    first = false;
    out += print(attribute == nullptr || attribute->is_none() ? item : attribute_path(item, *attribute));
    check_size(out.size(), kMaxTextBytes);
  }
  return Value(std::move(out));
}

Value first(Val value, Arg) {
  if (const std::string* text = value.string(); text != nullptr && !text->empty())
    return element(value, Value::integer(0));
  const List items = iterate(value);
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}

Value last(Val value, Arg) {
  if (const std::string* text = value.string(); text != nullptr && !text->empty())
    return element(value, Value::integer(-1));
  const List items = iterate(value);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Value sort(Val value, Arg arguments) {
  arguments.check("sort", 3, {"reverse", "case_sensitive", "attribute"});
  const bool case_sensitive = arguments.flag(1, "case_sensitive", false);
  const Value* attribute = arguments.find(2, "attribute");
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : iterate(value)) keyed.emplace_back(key_of(item, attribute, case_sensitive), item);
  charge(keyed.size() * 64);
  const bool reverse = arguments.flag(0, "reverse", false);
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return reverse ? less(b.first, a.first) : less(a.first, b.first);
  });
  List out;
  for (auto& entry : keyed) out.push_back(std::move(entry.second));
  return Value::list(std::move(out));
}

Value unique(Val value, Arg arguments) {
  arguments.check("unique", 2, {"case_sensitive", "attribute"});
  const bool case_sensitive = arguments.flag(0, "case_sensitive", false);
  Dict seen;
  List out;
  for (const Value& item : iterate(value)) {
    const Value key = key_of(item, arguments.find(1, "attribute"), case_sensitive);
    if (seen.find(key) != nullptr) continue;
    seen.set(key, Value(true));
    out.push_back(item);
  }
  return generator(std::move(out));
}

Value extreme(Val value, Arg arguments, std::string_view op) {
  arguments.check(op == "<" ? "min" : "max", 2, {"case_sensitive", "attribute"});
  const bool case_sensitive = arguments.flag(0, "case_sensitive", false);
  const List items = iterate(value);
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const auto key = [&](Val item) { return key_of(item, arguments.find(1, "attribute"), case_sensitive); };
  std::size_t best = 0;
  for (std::size_t i = 1; i < items.size(); ++i) {
    if (ordered(op, key(items[i]), key(items[best]))) best = i;
  }
  return items[best];
}

Value sum(Val value, Arg arguments) {
  arguments.check("sum", 2, {"attribute", "start"});
  const Value* attribute = arguments.find(0, "attribute");
  const Value* start = arguments.find(1, "start");
  Value total = start == nullptr ? Value::integer(0) : *start;
  for (const Value& item : iterate(value)) {
    total = arithmetic(
        "+", total, attribute == nullptr || attribute->is_none() ? item : attribute_path(item, *attribute));
  }
  return total;
}

Value reverse(Val value, Arg) {
  List items = iterate(value);
  std::reverse(items.begin(), items.end());
  if (value.string() == nullptr) return generator(std::move(items), "list_reverseiterator");
  std::string out;
  for (const Value& character : items) out += *character.string();
  return Value(std::move(out));
}

Value dictsort(Val value, Arg arguments) {
  arguments.check("dictsort", 3, {"case_sensitive", "by", "reverse"});
  if (value.dict() == nullptr) {
    if (value.is_undefined()) fail_undefined(value);
    throw RenderError("'" + type_name(value) + "' object has no attribute 'items'");
  }
  const bool case_sensitive = arguments.flag(0, "case_sensitive", false);
  const Value* by = arguments.find(1, "by");
  const std::string what = by == nullptr ? "key" : print(*by);
  if (what != "key" && what != "value") throw RenderError("You can only sort by either \"key\" or \"value\"");
  const bool reversed = arguments.flag(2, "reverse", false);
  auto entries = value.dict()->entries();
  const auto key = [&](const auto& entry) {
    return key_of(what == "key" ? entry.first : entry.second, nullptr, case_sensitive);
  };
  std::stable_sort(entries.begin(), entries.end(), [&](const auto& a, const auto& b) {
    return reversed ? less(key(b), key(a)) : less(key(a), key(b));
  });
  List out;
  for (const auto& [name, item] : entries) out.push_back(Value::tuple({name, item}));
  return Value::list(std::move(out));
}

Value items(Val value, Arg) {
  if (value.is_undefined()) return generator({});
  if (value.dict() == nullptr) throw RenderError("Can only get item pairs from a mapping.");
  List out;
  for (const auto& [key, item] : value.dict()->entries()) out.push_back(Value::tuple({key, item}));
  return generator(std::move(out));
}

Value otherwise(Val value, Arg arguments) {
  arguments.check("default", 2, {"default_value", "boolean"});
  const bool boolean = arguments.flag(1, "boolean", false);
  if (!value.is_undefined() && !(boolean && !truth(value))) return value;
  const Value* given = arguments.find(0, "default_value");
  return given == nullptr ? Value("") : *given;
}

/// The arguments behind the first `count`.
Arguments behind(Arg arguments, std::size_t count) {
  Arguments rest;
  if (arguments.positional.size() > count) {
    rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(count),
                           arguments.positional.end());
  }
  rest.named = arguments.named;
  return rest;
}

Value map(Val value, Arg arguments) {
  if (!truth(value)) return generator({});  // none, too, has nothing to be mapped
  List out;
  if (arguments.positional.empty()) {
    const Value* attribute = arguments.find(0, "attribute");
    if (attribute == nullptr) throw RenderError("map requires a filter argument");
    const Value* missing = arguments.find(static_cast<std::size_t>(-1), "default");
    for (const Value& item : iterate(value)) {
      Value found = attribute_path(item, *attribute);
      out.push_back(found.is_undefined() && missing != nullptr ? *missing : std::move(found));
    }
    return generator(std::move(out));
  }
  const std::string name = print(arguments.positional[0]);
  const Filter filter = find_filter(name);
  if (filter == nullptr) throw RenderError("No filter named '" + name + "'.");
  const Arguments rest = behind(arguments, 1);
  for (const Value& item : iterate(value)) {
    charge_looking(item);
    out.push_back(filter(item, rest));
  }
  return generator(std::move(out));
}

/// select, reject, and with an attribute selectattr and rejectattr.
Value select(Val value, Arg arguments, bool wanted, bool by_attribute) {
  if (!truth(value)) return generator({});
  const std::size_t place = by_attribute ? 1 : 0;
  if (by_attribute && arguments.positional.empty()) throw RenderError("Missing parameter for attribute name");
  Test test = nullptr;
  if (arguments.positional.size() > place) {
    const std::string name = print(arguments.positional[place]);
    test = find_test(name);
    if (test == nullptr) throw RenderError("No test named '" + name + "'.");
  }
  const Arguments rest = behind(arguments, place + 1);
  List out;
  for (const Value& item : iterate(value)) {
    const Value tested = by_attribute ? attribute_path(item, arguments.positional[0]) : item;
    if ((test == nullptr ? truth(tested) : test(tested, rest)) == wanted) out.push_back(item);
  }
  return generator(std::move(out));
}

std::size_t count_of(Arg arguments, std::string_view filter, const char* name) {
  const auto count = arguments.require(0, name, filter).integer();
  if (!count || *count <= 0 || *count > static_cast<Int>(kMaxItems))
    throw RenderError(std::string(filter) + ": not a count");
  return static_cast<std::size_t>(*count);
}

Value batch(Val value, Arg arguments) {
  const std::size_t size = count_of(arguments, "batch", "linecount");
  const Value* fill = arguments.find(1, "fill_with");
  List out, line;
  for (const Value& item : iterate(value)) {
    line.push_back(item);
    if (line.size() == size) out.push_back(Value::list(std::exchange(line, {})));
  }
  if (!line.empty()) {
    while (fill != nullptr && !fill->is_none() && line.size() < size) line.push_back(*fill);
    out.push_back(Value::list(std::move(line)));
  }
  return generator(std::move(out));
}

Value slices(Val value, Arg arguments) {
  const std::size_t count = count_of(arguments, "slice", "slices");
  const Value* fill = arguments.find(1, "fill_with");
  const List items = iterate(value);
  const std::size_t each = items.size() / count, more = items.size() % count;
  List out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = each + (i < more ? 1 : 0);
    List part(items.begin() + static_cast<std::ptrdiff_t>(at),
              items.begin() + static_cast<std::ptrdiff_t>(at + size));
    at += size;
    if (fill != nullptr && !fill->is_none() && i >= more && more > 0) part.push_back(*fill);
    out.push_back(Value::list(std::move(part)));
  }
  return generator(std::move(out));
}

/// A pair that prints as a tuple, and has names for its parts.
Value groupby(Val value, Arg arguments) {
  arguments.check("groupby", 3, {"attribute", "default", "case_sensitive"});
  const Value& attribute = arguments.require(0, "attribute", "groupby");
  const Value* missing = arguments.find(1, "default");
  const bool case_sensitive = arguments.flag(2, "case_sensitive", false);
  struct Entry {
    Value key, shown, item;
  };
  std::vector<Entry> entries;
  for (const Value& item : iterate(value)) {
    Value shown = attribute_path(item, attribute);
    if (shown.is_undefined() && missing != nullptr) shown = *missing;
    Value key = !case_sensitive && shown.string() != nullptr ? Value(lower(*shown.string())) : shown;
    entries.push_back({std::move(key), std::move(shown), item});
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return less(a.key, b.key); });
  List out;
  for (std::size_t i = 0; i < entries.size();) {
    List group;
    const std::size_t begin = i;
    for (; i < entries.size() && equal(entries[i].key, entries[begin].key); ++i)
      group.push_back(entries[i].item);
    out.push_back(Value::tuple({entries[begin].shown, Value::list(std::move(group))}));
  }
  return Value::list(std::move(out));
}

const std::map<std::string_view, Filter>& list_filters() {
  static const Filter size = [](Val v, Arg) { return Value::size(length(v)); };
  static const std::map<std::string_view, Filter> all = {
      {"attr", [](Val v, Arg a) { return attribute(v, print(a.require(0, "name", "attr"))); }},
      {"batch", batch},
      {"count", size},
      {"d", otherwise},
      {"default", otherwise},
      {"dictsort", dictsort},
      {"first", first},
      {"groupby", groupby},
      {"items", items},
      {"join", join},
      {"last", last},
      {"length", size},
      {"list", [](Val v, Arg) { return Value::list(iterate(v)); }},
      {"map", map},
      {"max", [](Val v, Arg a) { return extreme(v, a, ">"); }},
      {"min", [](Val v, Arg a) { return extreme(v, a, "<"); }},
      {"random", first},  // the same answer in every run
      {"reject", [](Val v, Arg a) { return select(v, a, false, false); }},
      {"rejectattr", [](Val v, Arg a) { return select(v, a, false, true); }},
      {"reverse", reverse},
      {"select", [](Val v, Arg a) { return select(v, a, true, false); }},
      {"selectattr", [](Val v, Arg a) { return select(v, a, true, true); }},
      {"slice", slices},
      {"sort", sort},
      {"sum", sum},
      {"unique", unique}};
  return all;
}

}  // namespace

Filter find_list_filter(std::string_view name) {
  const auto found = list_filters().find(name);
  return found == list_filters().end() ? nullptr : found->second;
}

}  // namespace mmbatch::jinja

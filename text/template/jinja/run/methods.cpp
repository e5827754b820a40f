#include "text/template/jinja/run/methods.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/base/text/utf8.h"
#include "text/template/jinja/run/attributes.h"
#include "text/template/jinja/text/format.h"
#include "text/template/jinja/text/text_case.h"
#include "text/template/jinja/text/text_methods.h"
#include "text/template/jinja/value/operators.h"
#include "text/template/jinja/value/print.h"

namespace mmbatch::jinja {
namespace {

using Method = Value (*)(const Value& self, const Arguments& arguments);

constexpr std::size_t kItemWork = 8;  // of comparing

Value view(const char* type, List items) {
  charge(items.size() * sizeof(Value));
  return Value(std::static_pointer_cast<Object>(
      std::make_shared<Sequence>(std::move(items), Sequence::Kind::view, type)));
}

Value dict_items(const Value& self, const Arguments&) {
  List items;
  for (const auto& [key, value] : self.dict()->entries()) items.push_back(Value::tuple({key, value}));
  return view("dict_items", std::move(items));
}

Value dict_keys(const Value& self, const Arguments&) {
  return view("dict_keys", iterate(self));
}

Value dict_values(const Value& self, const Arguments&) {
  List items;
  for (const auto& [key, value] : self.dict()->entries()) items.push_back(value);
  return view("dict_values", std::move(items));
}

Value dict_get(const Value& self, const Arguments& arguments) {
  arguments.check("get", 2, {});
  const Value* found = self.dict()->find(arguments.require(0, "key", "get"));
  if (found != nullptr) return *found;
  return arguments.positional.size() > 1 ? arguments.positional[1] : Value();
}

Value copy(const Value& self, const Arguments&) {
  return self;
}

Value list_index(const Value& self, const Arguments& arguments) {
  const Value& wanted = arguments.require(0, "value", "index");
  const List& items = *self.items();
  charge(items.size() * kItemWork);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (equal(items[i], wanted)) return Value::size(i);
  }
  throw RenderError(repr(wanted) + " is not in list");
}

Value list_count(const Value& self, const Arguments& arguments) {
  const Value& wanted = arguments.require(0, "value", "count");
  const List& items = *self.items();
  charge(items.size() * kItemWork);
  return Value::integer(
      std::count_if(items.begin(), items.end(), [&](const Value& item) { return equal(item, wanted); }));
}

const std::map<std::string_view, Method>& dict_methods() {
  static const std::map<std::string_view, Method> all = {
      {"items", dict_items}, {"keys", dict_keys}, {"values", dict_values}, {"get", dict_get}, {"copy", copy}};
  return all;
}

const std::map<std::string_view, Method>& list_methods() {
  static const std::map<std::string_view, Method> all = {
      {"index", list_index}, {"count", list_count}, {"copy", copy}};
  return all;
}

Value bit_length(const Value& self, const Arguments&) {
  const Int value = *self.integer();
  auto rest = value < 0 ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  std::int64_t bits = 0;
  for (; rest > 0; rest >>= 1) ++bits;
  return Value::integer(bits);
}

Value is_integer(const Value& self, const Arguments&) {
  const double value = *self.number();
  return Value(std::isfinite(value) && std::trunc(value) == value);
}

}  // namespace

std::optional<Value> find_method(const Value& value, std::string_view name) {
  Method method = nullptr;
  const auto look = [&](const std::map<std::string_view, Method>& methods) {
    const auto found = methods.find(name);
    if (found != methods.end()) method = found->second;
  };
  if (value.string() != nullptr) {
    look(text_methods());
  } else if (value.dict() != nullptr) {
    look(dict_methods());
  } else if (value.items() != nullptr) {
    if (!(value.is<TupleRef>() && name == "copy")) look(list_methods());
  } else if (value.is<Int>() && name == "bit_length") {
    method = bit_length;
  } else if (value.is<double>() && name == "is_integer") {
    method = is_integer;
  }
  if (method == nullptr) return std::nullopt;
  return Value(std::static_pointer_cast<Object>(
      std::make_shared<Function>(std::string(name), [value, method](const Arguments& arguments) {
        charge_looking(value);
        return method(value, arguments);
      })));
}

}  // namespace mmbatch::jinja

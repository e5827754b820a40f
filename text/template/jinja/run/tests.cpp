// Jinja's tests: `value is defined`.

#include <map>

#include "text/template/jinja/run/filters.h"
#include "text/template/jinja/text/text_case.h"
#include "text/template/jinja/value/operators.h"
#include "text/template/jinja/value/print.h"

namespace mmbatch::jinja {
namespace {

const Value& other(const Arguments& arguments, std::string_view test) {
  return arguments.require(0, "other", "test_" + std::string(test));
}

bool has_remainder(const Value& value, const Value& by, std::int64_t rest) {
  return equal(arithmetic("%", value, by), Value::integer(rest));
}

bool is_iterable(const Value& value) {
  if (const auto* object = value.get<std::shared_ptr<Object>>()) {
    if (const auto generator = value.object<Generator>()) return true;
    return (*object)->length().has_value();
  }
  return value.is_undefined() || value.string() != nullptr || value.items() != nullptr ||
         value.dict() != nullptr;
}

bool is_sequence(const Value& value) {
  if (const auto* object = value.get<std::shared_ptr<Object>>()) return (*object)->is_sequence();
  return is_iterable(value);
}

bool is_callable(const Value& value) {
  const auto* object = value.get<std::shared_ptr<Object>>();
  return value.is_undefined() || (object != nullptr && (*object)->callable());
}

bool is_same(const Value& a, const Value& b) {
  if (a.variant().index() != b.variant().index()) return false;
  if (const auto* list = a.get<ListRef>()) return list->items == b.get<ListRef>()->items;
  if (const auto* dict = a.get<DictRef>()) return dict->dict == b.get<DictRef>()->dict;
  return equal(a, b);
}

bool is_all_of(const char* kind, const Value& value) {
  charge_looking(value);
  return is_all(kind, print(value));
}

using Arg = const Arguments&;
using Val = const Value&;

const std::map<std::string_view, Test>& all_tests() {
  static const Test eq = [](Val v, Arg a) { return equal(v, other(a, "eq")); };
  static const Test ne = [](Val v, Arg a) { return !equal(v, other(a, "ne")); };
  static const Test lt = [](Val v, Arg a) { return ordered("<", v, other(a, "lt")); };
  static const Test le = [](Val v, Arg a) { return ordered("<=", v, other(a, "le")); };
  static const Test gt = [](Val v, Arg a) { return ordered(">", v, other(a, "gt")); };
  static const Test ge = [](Val v, Arg a) { return ordered(">=", v, other(a, "ge")); };
  static const std::map<std::string_view, Test> all = {
      {"defined", [](Val v, Arg) { return !v.is_undefined(); }},
      {"undefined", [](Val v, Arg) { return v.is_undefined(); }},
      {"none", [](Val v, Arg) { return v.is_none(); }},
      {"boolean", [](Val v, Arg) { return v.is<bool>(); }},
      {"true", [](Val v, Arg) { return v.is<bool>() && truth(v); }},
      {"false", [](Val v, Arg) { return v.is<bool>() && !truth(v); }},
      {"integer", [](Val v, Arg) { return v.is<Int>(); }},
      {"float", [](Val v, Arg) { return v.is<double>(); }},
      {"number", [](Val v, Arg) { return v.number().has_value(); }},
      {"string", [](Val v, Arg) { return v.string() != nullptr; }},
      {"mapping", [](Val v, Arg) { return v.dict() != nullptr; }},
      {"sequence", [](Val v, Arg) { return is_sequence(v); }},
      {"iterable", [](Val v, Arg) { return is_iterable(v); }},
      {"callable", [](Val v, Arg) { return is_callable(v); }},
      {"escaped", [](Val v, Arg) { return v.is_safe(); }},
      {"odd", [](Val v, Arg) { return has_remainder(v, Value::integer(2), 1); }},
      {"even", [](Val v, Arg) { return has_remainder(v, Value::integer(2), 0); }},
      {"divisibleby",
       [](Val v, Arg a) { return has_remainder(v, a.require(0, "num", "test_divisibleby"), 0); }},
      {"in", [](Val v, Arg a) { return contains(a.require(0, "seq", "test_in"), v); }},
      {"sameas", [](Val v, Arg a) { return is_same(v, other(a, "sameas")); }},
      {"lower", [](Val v, Arg) { return is_all_of("lower", v); }},
      {"upper", [](Val v, Arg) { return is_all_of("upper", v); }},
      {"filter", [](Val v, Arg) { return v.string() != nullptr && find_filter(*v.string()) != nullptr; }},
      {"test", [](Val v, Arg) { return v.string() != nullptr && find_test(*v.string()) != nullptr; }},
      {"eq", eq},
      {"equalto", eq},
      {"==", eq},
      {"ne", ne},
      {"!=", ne},
      {"lt", lt},
      {"lessthan", lt},
      {"<", lt},
      {"le", le},
      {"<=", le},
      {"gt", gt},
      {"greaterthan", gt},
      {">", gt},
      {"ge", ge},
      {">=", ge}};
  return all;
}

}  // namespace

Test find_test(std::string_view name) {
  const auto found = all_tests().find(name);
  return found == all_tests().end() ? nullptr : found->second;
}

}  // namespace mmbatch::jinja

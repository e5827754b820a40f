// Chat templates held against what transformers renders (tests/data/chat-templates), and what they must not
// do.

#include "text/template/jinja/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/base/error.h"
#include "engine/base/text/utf8.h"
#include "tests/text/reference_data.h"

namespace mmbatch {
namespace {

using nlohmann::ordered_json;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

const std::filesystem::path kTemplates = std::filesystem::path(MMBATCH_TEST_DATA) / "chat-templates";

/// What is rendered, or "error: …".
std::string rendered(const std::string& source, const ChatInput& input = {}) {
  try {
    return ChatTemplate(source, "template").render(input);
  } catch (const FatalError& e) {
    return std::string("error: ") + e.what();
  } catch (const ItemError& e) {
    return std::string("error: ") + e.what();
  }
}

/// Errors that say what is bounded.
auto of_a_limit() {
  return AllOf(
      HasSubstr("error: "),
      AnyOf(HasSubstr("too many"), HasSubstr("too much"), HasSubstr("too large"), HasSubstr("too long"),
            HasSubstr("too deep"), HasSubstr("recursion depth exceeded"), HasSubstr("at most")));
}

TEST(ChatTemplate, RendersAsTransformersDoes) {
  std::size_t cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kTemplates)) {
    const ordered_json all = ordered_json::parse(testing::read_file(entry.path() / "cases.json"));
    const bool own = std::filesystem::exists(entry.path() / "template.jinja");
    const std::string shared = own ? testing::read_file(entry.path() / "template.jinja") : "";
    for (const ordered_json& one : all["cases"]) {
      ++cases;
      ChatInput input;
      const auto part = [&](const char* key) { return (one.contains(key) ? one : all)[key].dump(); };
      input.messages = part("messages");
      input.variables = part("kwargs");
      input.special_tokens = part("special_tokens");
      ASSERT_NE(::strptime(all["now"].get<std::string>().c_str(), "%Y-%m-%dT%H:%M:%S", &input.now), nullptr);
      const std::string source = own ? shared : one["template"].get<std::string>();
      const std::string text = rendered(source, input);
      if (one.contains("rendered")) {
        EXPECT_EQ(text, one["rendered"].get<std::string>()) << entry.path() << ": " << source;
      } else {
        EXPECT_THAT(text, HasSubstr("error: ")) << entry.path() << ": " << source;
        if (one["error"]["type"] == "TemplateError") {
          EXPECT_THAT(text, HasSubstr(one["error"]["message"].get<std::string>()));
        }
      }
    }
  }
  EXPECT_GT(cases, 900u);
}

TEST(ChatTemplate, NamesWhereItIsBroken) {
  EXPECT_THAT(rendered("a\n  {{ x | nofilter }}"),
              AllOf(HasSubstr("line 2, column 10"), HasSubstr("nofilter")));
  EXPECT_THAT(rendered("{% frob %}"), AllOf(HasSubstr("line 1, column 4"), HasSubstr("unknown tag 'frob'")));
  EXPECT_THAT(rendered("\n\n{% if x %}"), HasSubstr("'endif'"));
}

/// Templates are from outside: none takes the time or memory of the run.
TEST(ChatTemplate, IsBounded) {
  for (const char* source : {
           "{{ 'a' * 1000000000 }}",
           "{% set ns = namespace(x='ab') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor "
           "%}",
           "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}",
           "{% macro m(k) %}{{ m(k + 1) }}{% endmacro %}{{ m(0) }}",
           "{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}",
           "{{ [0] * 100000000 }}",
           "{{ 9 ** 9 ** 9 }}",
           "{{ '%1000000d' % 1 }}",
           "{{ range(99999) | list | tojson(indent=99999) }}",
           "{{ 'x'.center(999999999) }}",
           "{{ ('\\t' * 16777216).expandtabs(256) | length }}",
           "{% for c in 'x' * 16777216 %}{% endfor %}",
           "{% set ns = namespace(l=[]) %}{% set k = 'x' * 4000000 %}{% for i in range(9999) %}{% set ns.l = "
           "ns.l + [[][[k]]] %}{% endfor %}",
           "{% set d = {1: 'x' * 9999999} %}{% for i in range(99999) %}{% for j in range(99) %}"
           "{% if not d.items() %}{% endif %}{% endfor %}{% endfor %}",
           "{% set k = 'a' * 4000000 %}{% for i in range(20) %}{% if k.isalnum() %}{% endif %}{% endfor %}",
           "{% set k = 'a' * 4000000 %}{% for i in range(20) %}{% if k is upper %}{% endif %}{% endfor %}",
           "{% set k = 'a' * 4000000 %}{% for i in range(20) %}{% if k | wordcount %}{% endif %}{% endfor %}",
           "{% set k = 'a' * 4000000 %}{% for i in range(20) %}{% if k | title %}{% endif %}{% endfor %}",
           "{% set k = 'a' * 9999999 %}{% for i in range(40) %}{% if k[-1] %}{% endif %}{% endfor %}",
           "{% set l = [1] * 1000000 %}{% for i in range(20) %}{% if l[:1] %}{% endif %}{% endfor %}",
           "{% set l = [1] * 1000000 %}{% for i in range(99) %}{% if l.count(2) %}{% endif %}{% endfor %}",
           "{% set d = dict.fromkeys(range(99999)) %}{% for i in range(200) %}{% set n = namespace(d) %}"
           "{% endfor %}",
       }) {
    EXPECT_THAT(rendered(source), of_a_limit()) << source;
  }
  EXPECT_THAT(rendered("{{ " + std::string(5000, '(') + "1" + std::string(5000, ')') + " }}"), of_a_limit());
  std::string sum = "{{ 1";
  for (int i = 0; i < 20000; ++i) sum += " + 1";
  EXPECT_THAT(rendered(sum + " }}"), of_a_limit());
  std::string slices = "{{ s";
  for (int i = 0; i < 340'000; ++i) slices += "[:]";
  EXPECT_THAT(rendered(slices + " }}"), of_a_limit());
  std::string nested;
  for (int i = 0; i < 5000; ++i) nested += "{% if true %}";
  EXPECT_THAT(rendered(nested), of_a_limit());
}

/// Values that are small in memory, but that to look at would never end, or take all of it.
TEST(ChatTemplate, ValuesThatGrowByBeingShared) {
  const auto doubled = [](const std::string& twice, const std::string& use) {
    const std::string other = std::string(replace_all(twice, "n.x", "n.y"));
    return rendered("{% set n = namespace(x=1, y=1) %}{% for i in range(150) %}{% set n.x = " + twice +
                    " %}{% set n.y = " + other + " %}{% endfor %}" + use);
  };
  for (const char* twice : {"(n.x, n.x)", "[n.x, n.x]", "{'a': n.x, 'b': n.x}"}) {
    for (const char* use : {"{{ n.x == n.y }}", "{{ n.x }}", "{{ n.x | tojson }}"})
      EXPECT_THAT(doubled(twice, use), of_a_limit()) << twice << use;
  }
  EXPECT_THAT(doubled("(n.x, n.x)", "{{ {n.x: 1} }}"), of_a_limit());
}

/// What does not read a text costs the same beside a short one and a long one.
TEST(ChatTemplate, ManyLooksAtALongTextAreFew) {
  EXPECT_EQ(rendered("{% set s = 'x' * 4000000 %}{% set n = namespace(c=0) %}{% for i in range(2000) %}"
                     "{% if s is defined and s is string and s is not none and s | default('') %}"
                     "{% set n.c = n.c + 1 %}{% endif %}{% endfor %}{{ n.c }}"),
            "2000");
}

/// Two texts of millions of characters, each of which nearly is in the other at every place.
TEST(ChatTemplate, LongTextsAreSearchedInOnePass) {
  const std::string texts = "{% set a = 'a' * 8000000 %}{% set b = a[:4000000] ~ 'b' %}";
  EXPECT_EQ(rendered(texts + "{{ b in a }}{{ a.find(b) }} {{ a.count(b) }} {{ a.split(b) | length }}"),
            "False-1 0 1");
  EXPECT_EQ(rendered(texts + "{{ a.rfind(b) }} {{ a.rsplit(b) | length }} {{ a.rpartition(b)[0] | length }}"),
            "-1 1 0");
  EXPECT_EQ(rendered(texts + "{{ a.replace(b, '') | length }}"), "8000000");
  EXPECT_EQ(rendered("{{ ('a ' * 400000).rsplit() | length }} {{ ('<' * 4000000) | striptags | length }}"),
            "400000 4000000");
  EXPECT_THAT(rendered(texts + "{{ a.strip('b' * 4000000 ~ 'a') }}"), HasSubstr("error: "));
  for (const char* use : {"([a] * 999999) | sort(case_sensitive=true)", "[a] * 999999 == [a ~ ''] * 999999"})
    EXPECT_THAT(rendered(texts + "{{ " + use + " }}"), HasSubstr("error: ")) << use;
}

TEST(ChatTemplate, TextsAreSplitAndCutAsPythonDoes) {
  EXPECT_EQ(
      rendered("{{ ' ä b\u2003c '.rsplit(none, 1) }}{{ 'aaa'.rsplit('aa') }}{{ '1--2--3'.rsplit('--', 1) }}"),
      "[' ä b', 'c']['a', '']['1--2', '3']");
  EXPECT_EQ(
      rendered("{% set w = 'xy' * 40 %}{% set t = 'ä' ~ w ~ '-' ~ w ~ '.' %}{{ t.rfind(w) }} {{ t.find(w) }} "
               "{{ t.rpartition(w)[2] }}"),
      "82 1 .");
  EXPECT_EQ(
      rendered(
          "{% set t = 'aäb€c' %}{{ t[1:4] }} {{ t[::-1] }} {{ t[-2] }} {{ t[::2] }} {{ t[4:1:-2] }} {{ t[9:] "
          "}}{{ t|first }}{{ t|last }}"),
      "äb€ c€bäa € abc cb ac");
}

TEST(ChatTemplate, NumbersAtTheEndOfTheirRange) {
  const std::string least = "(-170141183460469231731687303715884105727 - 1)";
  for (const std::string& use : std::initializer_list<std::string>{
           "-" + least, least + " | abs", least + " // -1", std::string("range(") + least + ", 5)",
           "170141183460469231731687303715884105727 | round(-37)", std::string("'%d' % 1e999"),
           std::string("'%d' % -1e300"), std::string("(-1e999) | filesizeformat")}) {
    EXPECT_THAT(rendered("{{ " + use + " }}"), HasSubstr("error: ")) << use;
  }
  EXPECT_EQ(rendered("{{ " + least + " % -1 }} {{ " + least + ".bit_length() }}"), "0 128");
  EXPECT_EQ(rendered("{{ (1e300).is_integer() }} {{ (1e999).is_integer() }} {{ (2.5).is_integer() }}"),
            "True False False");
  EXPECT_EQ(rendered("{{ 'abc' | truncate(3, leeway=170141183460469231731687303715884105727) }}"), "abc");
}

TEST(ChatTemplate, ValuesMayHoldThemselves) {
  const std::string circle = "{% set n = namespace() %}{% set n.a = n %}{% set n.list = [n] %}";
  EXPECT_EQ(rendered("{% set n = namespace() %}{% set n.a = n %}{{ n }}"),
            "<Namespace {'a': <Namespace {...}>}>");
  EXPECT_EQ(rendered("{% set n = namespace(z=1, a=2) %}{% set n.b = 'x' %}{{ n }}"),
            "<Namespace {'z': 1, 'a': 2, 'b': 'x'}>");
  EXPECT_EQ(rendered(circle + "{{ n == n }} {{ {n: 1}|length }}"), "True 1");
  for (const char* use : {"{{ n.list|join }}", "{{ n ~ 1 }}", "{{ '%s'|format(n) }}", "{{ n.list|string }}"})
    EXPECT_THAT(rendered(circle + use), HasSubstr("<Namespace {...}>")) << use;
  for (const char* use : {"{{ n|tojson }}", "{{ raise_exception(n) }}"})
    EXPECT_THAT(rendered(circle + use), HasSubstr("error: ")) << use;
  EXPECT_EQ(rendered("{% for i in [1] %}{{ loop.changed(loop) }}{% endfor %}"), "True");
}

/// Neither what is done with such values nor letting them go takes more of the stack than there is.
TEST(ChatTemplate, ValuesMayBeNestedDeeply) {
  const auto nested = [](const std::string& deeper) {
    return "{% set n = namespace(x=1) %}{% for i in range(90000) %}{% for j in range(3) %}{% set n.x = " +
           deeper + " %}{% endfor %}{% endfor %}";
  };
  for (const char* deeper : {"[n.x]", "(n.x,)", "{'a': n.x}", "namespace(a=n.x)", "cycler(n.x)",
                             "joiner(n.x)", "cycler(n.x).next"})
    EXPECT_EQ(rendered(nested(deeper) + "ok"), "ok") << deeper;
  for (const char* use : {"{{ n.x }}", "{{ {n.x: 1} }}", "{{ n.x == (n.x,) }}", "{{ n.x|tojson }}"})
    EXPECT_THAT(rendered(nested("(n.x,)") + use), HasSubstr("maximum recursion depth exceeded")) << use;
  EXPECT_THAT(rendered(nested("namespace(a=n.x)") + "{{ n.x }}"),
              HasSubstr("maximum recursion depth exceeded"));
  // Lists of different lengths, whose order the innermost decide.
  EXPECT_THAT(
      rendered("{% set n = namespace(x=[], y=[]) %}{% for i in range(90000) %}{% set n.x = [n.x, 1] %}"
               "{% set n.y = [n.y] %}{% endfor %}{{ n.x < n.y }}"),
      HasSubstr("maximum recursion depth exceeded"));
}

/// What outlives its statement must not reach into it.
TEST(ChatTemplate, KeepsWhatIsStillUsed) {
  EXPECT_EQ(
      rendered(
          "{% set ns = namespace() %}{% for i in [1, 2] %}{% set ns.l = loop %}{% set ns.c = loop.cycle %}"
          "{% endfor %}{{ ns.l.index }}{{ ns.c('a', 'b') }}"),
      "2b");
  EXPECT_THAT(
      rendered("{% set ns = namespace() %}{% for i in [1] recursive %}{% set ns.l = loop %}{% endfor %}"
               "{{ ns.l([2]) }}"),
      HasSubstr("error: "));
}

TEST(ChatTemplate, ALongWordIsWrappedInOnePass) {
  EXPECT_EQ(rendered("{{ 'aäb c' | wordwrap(2) }}"), "aä\nb\nc");
  EXPECT_EQ(rendered("{{ (('ä' * 40000) | wordwrap(1)) | length }}"), "79999");
  EXPECT_THAT(rendered("{{ ('a' * 40000) | wordwrap(1, wrapstring='b' * 40000) }}"), HasSubstr("too large"));
  EXPECT_THAT(rendered("{{ ('\\n' * 40000) | wordwrap(1, wrapstring='b' * 40000) }}"),
              HasSubstr("too large"));
  EXPECT_THAT(rendered("{{ ([('a', '%' * 40000)] * 40000) | urlencode }}"), HasSubstr("too large"));
}

}  // namespace
}  // namespace mmbatch

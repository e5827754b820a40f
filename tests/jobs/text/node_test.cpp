#include "jobs/text/node.h"

#include <gmock/gmock.h>

#include <stdexcept>

#include "jobs/text/json_node.h"
#include "jobs/text/json_text.h"
#include "jobs/text/python_list.h"
#include "jobs/text/text_width.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string problem_of(const std::string& text) {
  const ParsedJson parsed = parse_json(text);
  return parsed.fault ? parsed.fault->problem : "";
}

TEST(JsonNode, IsCheckedWhileItIsParsed) {
  EXPECT_EQ(problem_of(R"({"a": [1, 2.5e3, "x", null, true]})"), "");
  EXPECT_EQ(problem_of(R"([{"a": 1}, {"a": {"a": 2}}])"), "");
  EXPECT_THAT(problem_of(R"({"a": 1, "a": 2})"), HasSubstr("twice"));
  EXPECT_EQ(problem_of(std::string(64, '[') + std::string(64, ']')), "");
  EXPECT_THAT(problem_of(std::string(65, '[') + std::string(65, ']')), HasSubstr("deeper"));
  EXPECT_THAT(problem_of("{} x"), HasSubstr("unexpected 'x'"));
  EXPECT_THAT(problem_of(""), HasSubstr("too early"));
  EXPECT_THAT(problem_of("{\"a\": 1e999}"), HasSubstr("invalid JSON"));
  EXPECT_EQ(problem_of("[\"\xff\"]"), "invalid UTF-8");
  EXPECT_THAT(problem_of(std::string("\xff\xfe[\0]\0", 6)),
              HasSubstr("UTF-16, where UTF-8 is expected: convert"));
  EXPECT_THAT(problem_of(std::string("[\0]\0", 4)),
              HasSubstr("a NUL byte, which text does not have; if it is UTF-16"));
  std::string many = "{";
  for (int i = 0; i < 100; ++i) many += "\"key number " + std::to_string(i) + "\": 1, ";
  EXPECT_EQ(problem_of(many + "\"z\": 1}"), "");
  for (const char* twice : {"0", "15", "16", "50", "99"})
    EXPECT_THAT(problem_of(many + "\"key number " + twice + "\": 1}"), HasSubstr("twice")) << twice;
}

TEST(JsonNode, KeysKnowTheirPlaces) {
  const ParsedJson parsed = parse_json("{\"a\\\\\\\"\": 1,\n  \"b\": {\n\"c\": [2]}}", {7, 3});
  ASSERT_FALSE(parsed.fault);
  const Node& root = *parsed.node;
  EXPECT_EQ(root.place.line, 7u);
  EXPECT_EQ(root.place.column, 3u);
  ASSERT_EQ(root.map.size(), 2u);
  EXPECT_EQ(root.map[0].key, "a\\\"");
  EXPECT_EQ(root.map[0].place.column, 4u);
  EXPECT_EQ(root.map[1].place.line, 8u);
  EXPECT_EQ(root.map[1].place.column, 3u);
  EXPECT_EQ(root.map[1].value->map[0].place.line, 9u);
  EXPECT_EQ(root.map[1].value->map[0].place.column, 1u);
  const ParsedJson twice = parse_json("{\"a\": 1, \"a\": 2}");
  EXPECT_EQ(twice.fault->place.column, 10u);
}

TEST(JsonNode, NumbersKeepTheirSpelling) {
  const ParsedJson parsed = parse_json("[3.10, 1e5, 100.00, -7, 18446744073709551616]");
  std::vector<std::string> spelled;
  for (const NodePointer& element : parsed.node->list) spelled.push_back(element->text);
  EXPECT_THAT(spelled, ElementsAre("3.10", "1e5", "100.00", "-7", "18446744073709551616"));
  EXPECT_EQ(to_json(*parsed.node, JsonForm::written, 1000), "[3.10,1e5,100.00,-7,18446744073709551616]");
  EXPECT_EQ(to_json(*parsed.node, JsonForm::canonical, 1000),
            "[3.1,100000.0,100.0,-7,1.8446744073709552e+19]");
}

TEST(Node, IsWrittenAsJsonInEitherFormAndWithinABound) {
  const ParsedJson parsed = parse_json(R"({"b": "é\n", "a": [null, true, {}]})");
  EXPECT_EQ(to_json(*parsed.node, JsonForm::written, 1000), R"({"b":"é\n","a":[null,true,{}]})");
  EXPECT_EQ(to_json(*parsed.node, JsonForm::canonical, 1000), R"({"a":[null,true,{}],"b":"é\n"})");
  EXPECT_THROW(to_json(*parsed.node, JsonForm::written, 10), std::length_error);
}

TEST(Node, NumbersOfYamlBecomeJson) {
  for (const auto& [written, json] : std::vector<std::pair<std::string, std::string>>{
           {"+5", "5"}, {"007", "7"}, {".5", "0.5"}, {"5.", "5.0"}, {"-0.50", "-0.50"}, {"1E+2", "1E+2"}}) {
    Node number;
    number.kind = Node::Kind::number;
    number.text = written;
    EXPECT_EQ(to_json(number, JsonForm::written, 100), json);
  }
}

TEST(PythonList, IsReadAsPandasWritesIt) {
  const auto texts = [](const char* text) {
    std::vector<std::string> out;
    const NodePointer list = parse_python_list(text);
    if (!list) return std::vector<std::string>{"none"};
    for (const NodePointer& element : list->list) out.push_back(element->text);
    return out;
  };
  EXPECT_THAT(texts("['blue', 'azure']"), ElementsAre("blue", "azure"));
  EXPECT_THAT(texts(" [ \"it's\" , 'a \\'b\\'', 3.10, -2 ,] "), ElementsAre("it's", "a 'b'", "3.10", "-2"));
  EXPECT_THAT(texts("['\\xe9\\u65e5\\n\\\\']"), ElementsAre("é日\n\\"));
  EXPECT_THAT(texts("[]"), ElementsAre());
  for (const char* none :
       {"", "[", "['a'", "['a' 'b']", "['a'] x", "[,]", "['\\q']", "['\\ud800']", "[a]", "[['a']]"})
    EXPECT_THAT(texts(none), ElementsAre("none")) << none;
}

TEST(JsonText, ArraysOfTextsAreRead) {
  EXPECT_THAT(parse_json_array(R"(["a", "b"])"), ElementsAre("a", "b"));
  EXPECT_THAT(parse_json_array("nonsense"), ElementsAre());
}

TEST(TextWidth, OfWhatATerminalShows) {
  EXPECT_EQ(display_width(U'\u00AD'), 1u);
  EXPECT_EQ(display_width(U'\u0301'), 0u);
  EXPECT_EQ(display_width(U'\u200D'), 0u);
  EXPECT_EQ(display_width(U'日'), 2u);
  EXPECT_EQ(display_width(U'😀'), 2u);
  EXPECT_EQ(display_width(U'ｱ'), 1u);
}

TEST(Shortened, CutsBetweenCodePoints) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "abc…");
  EXPECT_EQ(shortened("aéé", 2), "a…");
}

}  // namespace
}  // namespace mmbatch

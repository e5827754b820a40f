// Standard streams that a shell led into a file that the command reads; FIFOs as outputs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// A folder with a copy of the model, manifests and what they name.
class Streams : public ::testing::Test {
 protected:
  Streams() : way_(place_.path("")) {
    fs::copy(Workplace::demo("model"), place_.path("model"));
    fs::copy_file(Workplace::images().front(), place_.path("p.png"));
    place_.write("i.jsonl",
                 "{\"id\": \"a\", \"image\": \"p.png\", \"question\": \"q?\", \"answer\": \"x\"}\n");
    place_.write("n.jsonl", "{\"id\": \"b\", \"image\": \"p.png\", \"question\": \"q?\"}\n");
    place_.write("m.yaml", "jobs: [{name: j, task: vqa, items: i.jsonl}]\n");
    place_.write("n.yaml", "jobs: [{name: n, task: vqa, items: n.jsonl}]\n");
    place_.write("chat.json", "[{\"role\": \"user\", \"content\": \"what?\"}]");
    place_.write("schema.json", "{\"type\": \"string\"}");
    place_.write("t.jinja", "{{ messages[0].content }}");
    place_.write("lines", "what?\n");
    place_.write("annotations.json", "{\"annotations\": []}");
  }

  /// Runs commands of a shell in the folder, in which MMBATCH is the program.
  int shell(const std::string& commands) {
    place_.write("script", "cd " + way_.path() + "; MMBATCH() { '" + MMBATCH_PROGRAM + "' \"$@\"; }\n" +
                               commands + " > said 2>&1\n");
    const int status = std::system(("bash " + way_.path() + "/script").c_str());
    said_ = file_content(place_.path("said"));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  void expect_refused(const std::string& command, const std::string& input) {
    const std::string before = file_content(place_.path(input));
    for (const char* led : {"{ MMBATCH COMMAND >> INPUT; }", "{ MMBATCH COMMAND 2>> INPUT; }",
                            "{ MMBATCH COMMAND 1>> INPUT 2>&1; }"}) {
      std::string line = led;
      line.replace(line.find("COMMAND"), 7, command);
      line.replace(line.find("INPUT"), 5, input);
      EXPECT_EQ(shell(line), 2) << line << "\n" << said_;
      EXPECT_EQ(file_content(place_.path(input)), before) << line;
      const bool both = line.find("2>&1") != std::string::npos;
      EXPECT_THAT(said_, HasSubstr(both ? "" : "would write into")) << line;
    }
  }

  Workplace place_;
  PlainWay way_;
  std::string said_;
};

TEST_F(Streams, AreNoInputOfCommandsThatReadManifests) {
  for (const char* input : {"m.yaml", "i.jsonl", "p.png", "model/config.json", "model/tokenizer.model"}) {
    expect_refused("validate m.yaml --model model", input);
    expect_refused("render --manifest m.yaml --model model", input);
    expect_refused("run m.yaml -d r.db --model model", input);
    expect_refused("quantize model --report --manifest m.yaml", input);
  }
  // Before a line is written about the first.
  expect_refused("validate m.yaml n.yaml", "n.jsonl");
  expect_refused("validate m.yaml --response-format schema.json", "schema.json");
  EXPECT_FALSE(fs::exists(place_.path("r.db")));
}

TEST_F(Streams, AreNoInputOfCommandsThatReadAModel) {
  for (const char* input : {"model/config.json", "model/model.safetensors"}) {
    expect_refused("inspect model", input);
    expect_refused("tokenize --model model word", input);
    expect_refused("ask --model model what?", input);
  }
  expect_refused("ask --model model --image p.png what?", "p.png");
  expect_refused("ask --model model --turn-format ./t.jinja what?", "t.jinja");
  expect_refused("ask --model model --response-format schema.json what?", "schema.json");
  expect_refused("render --model model --messages chat.json", "chat.json");
  expect_refused("tokenize --model model - < lines", "lines");
  expect_refused("chat --model model < lines", "lines");
}

TEST_F(Streams, AreNoInputOfCommandsThatReadADatabase) {
  ASSERT_EQ(shell("MMBATCH run -q m.yaml -d r.db --model model"), 0) << said_;
  for (const char* command :
       {"query r.db", "eval r.db", "report r.db -o -", "status r.db", "merge new.db r.db"})
    expect_refused(command, "r.db");
  expect_refused("eval r.db --annotations annotations.json", "annotations.json");
  EXPECT_FALSE(fs::exists(place_.path("new.db")));
}

TEST_F(Streams, OfErrorsIsNoOutputOfAnotherKind) {
  EXPECT_EQ(shell("MMBATCH run -q m.yaml -d r.db --model model -o out.jsonl"), 0) << said_;
  const std::string before = file_content(place_.path("out.jsonl"));
  EXPECT_EQ(shell("{ MMBATCH run m.yaml -d r.db --model model -o out.jsonl 2>> out.jsonl; }"), 2) << said_;
  EXPECT_EQ(file_content(place_.path("out.jsonl")), before);
}

TEST_F(Streams, MayBeLedIntoOneFile) {
  EXPECT_EQ(shell("{ MMBATCH validate m.yaml >> log 2>&1; }"), 0);
  EXPECT_THAT(file_content(place_.path("log")), HasSubstr("1 item, 0 of them would fail"));
  EXPECT_EQ(shell("{ MMBATCH run m.yaml -d r.db --model model --summary-json /dev/stdout >> log 2>&1; }"), 0);
}

TEST_F(Streams, AModelsFolderMayHoldOutputs) {
  const std::string run = "MMBATCH run -q ../m.yaml -d r.db --model . -o out.jsonl --summary-json s.json";
  for (int i = 0; i < 2; ++i) EXPECT_EQ(shell("{ cd model; " + run + "; }"), 0) << said_;
  EXPECT_EQ(shell("{ cd model; " + run + " --profile tokenizer.model; }"), 2);
}

TEST_F(Streams, AFifoIsAnOutputIfSomebodyReadsIt) {
  ASSERT_EQ(shell("MMBATCH run -q m.yaml -d r.db --model model"), 0) << said_;
  ASSERT_EQ(::mkfifo(place_.path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(shell("{ cat fifo > page & MMBATCH report r.db -o fifo; code=$?; wait; (exit $code); }"), 0)
      << said_;
  EXPECT_THAT(file_content(place_.path("page")), HasSubstr("</html>"));
  EXPECT_EQ(shell("{ cat fifo > lines.jsonl & MMBATCH run -q m.yaml --fresh -d r.db --model model -o fifo; "
                  "code=$?; wait; (exit $code); }"),
            0)
      << said_;
  EXPECT_THAT(file_content(place_.path("lines.jsonl")), HasSubstr("\"custom_id\""));
  EXPECT_EQ(shell("MMBATCH report r.db -o fifo"), 3);
  EXPECT_THAT(said_, HasSubstr("fifo: cannot be written: it is a FIFO, and nobody opened it to read"));
  EXPECT_EQ(shell("MMBATCH run -q m.yaml -d r.db --model model --metrics-file fifo"), 2);
}

}  // namespace
}  // namespace mmbatch

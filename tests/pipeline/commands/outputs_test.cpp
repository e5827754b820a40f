// What the commands write, and to where: full disks, closed pipes, files of the user's own, terminals.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

/// A shell command line in which MMBATCH stands for the program.
ProgramEnd shell(std::string line) {
  const std::string word = "MMBATCH";
  for (std::size_t at = line.find(word); at != std::string::npos; at = line.find(word, at))
    line.replace(at, word.size(), "'" + std::string(MMBATCH_PROGRAM) + "'");
  ProgramEnd end;
  FILE* pipe = ::popen(("{ " + line + "; } 2>&1").c_str(), "r");
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof(buffer), pipe)) end.text.append(buffer, got);
  const int status = ::pclose(pipe);
  end.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return end;
}

/// A folder with a copy of the model, a manifest, its listing and a database of its answers.
class Outputs : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    place = new Workplace;
    fs::copy(Workplace::demo("model"), place->path("model"));
    place->write("i.jsonl",
                 "{\"id\": \"a\", \"image\": \"p.png\", \"question\": \"what \\u001b[31mcolor\\u202e?\", "
                 "\"answer\": \"blue\", \"question_type\": \"c\\u009b31m\"}\n");
    place->write("m.yaml", "jobs: [{name: \"j\\e[1m\", task: vqa, items: i.jsonl}]\n");
    fs::copy_file(Workplace::images().front(), place->path("p.png"));
    const ProgramEnd end = run("");
    ASSERT_EQ(end.code, 0) << end.text;
  }
  static void TearDownTestSuite() { delete place; }

  static std::string at(const std::string& name) { return "'" + place->path(name) + "'"; }
  /// A run of the manifest with further options.
  static ProgramEnd run(const std::string& more) {
    return shell("MMBATCH run -q " + at("m.yaml") + " -m " + at("model") + " -d " + at("r.db") + " " + more);
  }
  static void expect_refused(const ProgramEnd& end, const std::string& said) {
    EXPECT_EQ(end.code, 2) << end.text;
    EXPECT_THAT(end.text, HasSubstr(said));
  }

  static Workplace* place;
};
Workplace* Outputs::place = nullptr;

TEST_F(Outputs, AFullDiskIsToldByEveryCommand) {
  for (const std::string command : {"query DB",
                                    "query DB -f csv",
                                    "query DB -f json",
                                    "query DB -f jsonl",
                                    "query DB -f markdown",
                                    "query DB -f openai",
                                    "query DB runs",
                                    "eval DB",
                                    "eval DB -f json",
                                    "eval DB --compare 1 1",
                                    "merge NEW DB",
                                    "inspect MODEL",
                                    "inspect MODEL --json",
                                    "validate MANIFEST",
                                    "--help",
                                    "--version",
                                    "doctor",
                                    "ask --model MODEL \"what?\"",
                                    "generate --model MODEL word",
                                    "report DB -o /dev/full",
                                    "quantize MODEL --report"}) {
    std::string line = command;
    for (const auto& [word, name] :
         {std::pair("DB", "r.db"), {"NEW", "new.db"}, {"MODEL", "model"}, {"MANIFEST", "m.yaml"}}) {
      const std::size_t found = line.find(word);
      if (found != std::string::npos) line.replace(found, std::string(word).size(), at(name));
    }
    const ProgramEnd end = shell("MMBATCH " + line + " > /dev/full");
    EXPECT_EQ(end.code, 3) << command << "\n" << end.text;
    EXPECT_THAT(end.text, HasSubstr("No space left on device")) << command;
  }
  const ProgramEnd chat = shell("echo 'what?' | MMBATCH chat --model " + at("model") + " > /dev/full");
  EXPECT_EQ(chat.code, 3) << chat.text;
}

TEST_F(Outputs, AClosedPipeIsNoNews) {
  const ProgramEnd end = shell(
      "bash -c 'set -o pipefail; \"$0\" query \"$1\" -f jsonl --sql \"WITH RECURSIVE n(i) AS (SELECT 1 UNION "
      "ALL "
      "SELECT i + 1 FROM n LIMIT 200000) SELECT i FROM n\" | head -n 1' MMBATCH " +
      at("r.db"));
  EXPECT_EQ(end.code, 141);
  EXPECT_EQ(end.text, "{\"i\": 1}\n");
}

TEST_F(Outputs, NoOutputIsAnInputOrAnotherOutput) {
  fs::create_hard_link(place->path("i.jsonl"), place->path("hard.jsonl"));
  fs::create_symlink("model/config.json", place->path("soft.json"));
  for (const auto& [option, file, said] : {std::tuple("--summary-json", "m.yaml", "the manifest"),
                                           {"--metrics-file", "soft.json", "a file of the model"},
                                           {"--profile", "hard.jsonl", "the listing"},
                                           {"--output", "i.jsonl", "the listing"},
                                           {"--summary-json", "r.db", "the database"},
                                           {"--summary-json", "r.db-wal", "the database"},
                                           {"--profile", "p.png", "is an image"}}) {
    const std::string before = file_content(place->path(file));
    const ProgramEnd end = run(std::string(option) + " " + at(file));
    expect_refused(end, option);
    EXPECT_THAT(end.text, HasSubstr(said));
    EXPECT_EQ(file_content(place->path(file)), before) << option;
  }
  expect_refused(run("--summary-json " + at("both") + " --profile " + at("both")), "--profile");
  EXPECT_FALSE(fs::exists(place->path("both")));
  for (const char* name : {"r.db", "r.db-wal", "r.db.lock"})
    expect_refused(shell("MMBATCH report " + at("r.db") + " -o " + at(name)), "--output");
}

TEST_F(Outputs, NoOutputIsASchemaOrATemplate) {
  place->write("s.json", R"({"type": "integer"})");
  place->write("t.jinja", "{{ messages[0].content }}");
  place->write("g.gbnf", "root ::= \"a\"");
  place->write("n.yaml",
               "database: n.db\njobs:\n  - {name: a, task: generate, items: [{prompt: x}],\n"
               "     response_format: {type: json_schema, json_schema: {schema: s.json}}}\n"
               "  - {name: b, task: generate, chat: true, turn_format: ./t.jinja, items: [{prompt: x}]}\n");
  const std::string run =
      "MMBATCH run -q -m " + at("model") + " " + at("n.yaml") + " --grammar " + at("g.gbnf");
  for (const char* file : {"s.json", "t.jinja", "g.gbnf"}) {
    const std::string before = file_content(place->path(file));
    expect_refused(shell(run + " --summary-json " + at(file)), "--summary-json");
    EXPECT_EQ(file_content(place->path(file)), before) << file;
  }
}

TEST_F(Outputs, ManifestsOfOneCommandAreLookedAtTogether) {
  place->write("first.yaml", "database: first.db\njobs: [{name: a, task: generate, items: [{prompt: x}]}]\n");
  const std::string listing = place->write("later.jsonl", "{\"prompt\": \"x\"}\n");
  place->write("later.yaml", "database: later.db\njobs: [{name: b, task: generate, items: later.jsonl}]\n");
  const std::string both =
      "MMBATCH run -q -m " + at("model") + " " + at("first.yaml") + " " + at("later.yaml") + " ";
  const std::string before = file_content(listing);
  const ProgramEnd end = shell(both + "--metrics-file " + at("later.jsonl"));
  expect_refused(end, "--metrics-file");
  EXPECT_THAT(end.text, HasSubstr("the listing"));
  EXPECT_EQ(file_content(listing), before);
  EXPECT_FALSE(fs::exists(place->path("first.db"))) << "nothing is run before all are looked at";
  // What is wrong with the second is known before the first is run, too.
  EXPECT_EQ(shell("MMBATCH run -q -m " + at("model") + " " + at("first.yaml") + " " + at("none.yaml")).code,
            2);
  EXPECT_FALSE(fs::exists(place->path("first.db")));
  const ProgramEnd one = shell(both + "-d " + at("both.db"));
  EXPECT_EQ(one.code, 0) << "one database may take the answers of several: " << one.text;
}

TEST_F(Outputs, AMergedDatabaseIsNoneOfTheFilesBesideAnother) {
  // A folder of its own: a reader whose pipe is closed leaves files beside the other tests' database.
  fs::create_directory(place->path("merging"));
  for (const char* name : {"merging/r.db", "merging/other.db"})
    fs::copy_file(place->path("r.db"), place->path(name));
  for (const char* name :
       {"merging/r.db-wal", "merging/r.db-shm", "merging/r.db-journal", "merging/r.db.lock"}) {
    expect_refused(shell("MMBATCH merge " + at(name) + " " + at("merging/r.db")), "would overwrite");
    EXPECT_FALSE(fs::exists(place->path(name))) << name;
    expect_refused(shell("MMBATCH merge " + at(name) + " " + at("merging/other.db")), "would overwrite");
  }
  EXPECT_EQ(shell("MMBATCH query " + at("merging/r.db")).code, 0);
}

TEST_F(Outputs, TheStandardOutputIsNoInputEither) {
  const std::string before = file_content(place->path("r.db")),
                    listing = file_content(place->path("i.jsonl"));
  for (const char* command : {"query", "query -f csv", "eval", "status", "report -o -"}) {
    const ProgramEnd end = shell("MMBATCH " + std::string(command) + " " + at("r.db") + " >> " + at("r.db"));
    EXPECT_EQ(end.code, 2) << command;
    EXPECT_EQ(file_content(place->path("r.db")), before) << command;
  }
  const ProgramEnd end = run("--summary-json - >> " + at("i.jsonl"));
  EXPECT_EQ(end.code, 2) << end.text;
  EXPECT_THAT(end.text, HasSubstr("the listing"));
  EXPECT_EQ(file_content(place->path("i.jsonl")), listing);
}

TEST_F(Outputs, WhatIsWrittenToAClosedStreamGoesNowhere) {
  const ProgramEnd end = run("--fresh --summary-json - >&-");
  EXPECT_EQ(end.code, 3) << end.text;
  EXPECT_THAT(end.text, HasSubstr("Bad file descriptor"));
  EXPECT_EQ(run("--fresh <&- 2>&-").code, 0);
}

TEST_F(Outputs, AFolderThatIsGoneIsToldAsThat) {
  const std::string gone = "mkdir " + at("gone") + "; cd " + at("gone") + "; rmdir " + at("gone") + "; ";
  for (const char* command : {"run m.yaml", "validate m.yaml", "query r.db", "report r.db -o p.html"}) {
    const ProgramEnd end = shell(gone + "MMBATCH " + command);
    EXPECT_THAT(end.text, Not(HasSubstr("internal error"))) << command;
    EXPECT_THAT(end.code, ::testing::AnyOf(2, 3)) << command << ": " << end.text;
  }
  expect_refused(shell(gone + "MMBATCH run m.yaml"), "the folder that mmbatch runs in is gone");
  const ProgramEnd end = shell(gone + "MMBATCH validate " + at("m.yaml") + " -m " + at("model"));
  EXPECT_EQ(end.code, 0) << "absolute paths need no folder: " << end.text;
}

TEST_F(Outputs, AProcessWithLittleMemoryEnds) {
  // One of OpenBLAS's threads asks for memory for ever under such a limit; the program does not wait for it.
  for (const char* limit : {"200000", "250000"}) {
    const ProgramEnd end = shell("export OPENBLAS_NUM_THREADS=2; ulimit -v " + std::string(limit) +
                                 "; timeout 100 MMBATCH query " + at("none.db"));
    if (end.text.find("none.db: no such file") == std::string::npos) continue;  // too little to be loaded
    EXPECT_EQ(end.code, 3) << end.text;
  }
}

TEST_F(Outputs, AReportReplacesPagesOnly) {
  const std::string before = file_content(place->path("i.jsonl"));
  expect_refused(shell("MMBATCH report " + at("r.db") + " -o " + at("i.jsonl")), "not a page");
  EXPECT_EQ(file_content(place->path("i.jsonl")), before);
  place->write("empty.html", "");
  for (const char* name : {"new.html", "new.html", "empty.html"})
    EXPECT_EQ(shell("MMBATCH report " + at("r.db") + " -o " + at(name)).code, 0) << name;
}

TEST_F(Outputs, WhatCannotBeWrittenSaysWhy) {
  const auto expect_unwritten = [](const ProgramEnd& end, const std::string& said) {
    EXPECT_EQ(end.code, 3) << end.text;  // as /dev/full
    EXPECT_THAT(end.text, HasSubstr(said));
  };
  const std::string report = "MMBATCH report " + at("r.db") + " -o ";
  for (const char* option : {"--summary-json", "--metrics-file", "--profile", "--output"})
    expect_unwritten(run(option + std::string(" ") + at("none/file")), "No such file or directory");
  expect_unwritten(run("--shards-from /proc/none"), "cannot be made");
  expect_unwritten(shell(report + at("none/p.html")), "No such file or directory");
  expect_unwritten(shell(report + at("model")), "Is a directory");
  expect_unwritten(shell(report + "/proc/none/p.html"), "No such file or directory");
  EXPECT_FALSE(fs::exists(place->path("model.part")));
}

TEST_F(Outputs, ADashIsTheStandardOutput) {
  const std::string report = "MMBATCH report " + at("r.db");
  for (const char* name : {" -o - | cat", " -o /dev/stdout | cat"}) {
    const ProgramEnd page = shell("cd " + at("") + "; " + report + name);
    EXPECT_EQ(page.text.substr(0, 15), "<!DOCTYPE html>") << page.text.substr(0, 200);
    EXPECT_EQ(page.text.substr(page.text.size() - 8), "</html>\n");
  }
  EXPECT_EQ(shell(report + " -o - > /dev/full").code, 3);
  const ProgramEnd summary =
      shell("cd " + at("") + "; MMBATCH run -q m.yaml -m model -d r.db --summary-json - | cat");
  EXPECT_TRUE(nlohmann::json::accept(summary.text)) << summary.text;
  EXPECT_FALSE(fs::exists(place->path("-")));
  for (const char* option : {"--metrics-file", "--output"})
    expect_refused(run(option + std::string(" -")), option + std::string(" -: it "));
  expect_refused(shell("MMBATCH query " + at("r.db") + " --sort -"), "--sort: '-' alone names no column");
}

TEST_F(Outputs, AReportUnderAFileSizeLimitSaysWhatIsFull) {
  fs::copy_file(place->path("r.db"), place->path("limited.db"));
  const std::string report =
      "\"$0\" report \"$1\" -o \"$2\"' MMBATCH " + at("limited.db") + " " + at("limited.html");
  const ProgramEnd end = shell("bash -c 'trap \"\" XFSZ; ulimit -f 8; " + report);
  EXPECT_EQ(end.code, 3) << end.text;
  EXPECT_THAT(end.text, HasSubstr("limited.html: cannot be written: File too large"));
  EXPECT_FALSE(fs::exists(place->path("limited.html")));
}

TEST_F(Outputs, ADatabaseUnderAFileSizeLimitSaysWhatIsFull) {
  const std::string run = "\"$0\" run -q \"$1\" -m \"$2\" -d \"$3\"' MMBATCH " + at("m.yaml") + " " +
                          at("model") + " " + at("small.db");
  const ProgramEnd end = shell("bash -c 'trap \"\" XFSZ; ulimit -f 40; " + run);
  EXPECT_EQ(end.code, 3) << end.text;
  EXPECT_THAT(end.text, HasSubstr("(File too large)"));
}

TEST_F(Outputs, AUsersFileNamedPartStays) {
  place->write("p.html.part", "my notes");
  EXPECT_EQ(shell("MMBATCH report " + at("r.db") + " -o " + at("p.html")).code, 0);
  EXPECT_EQ(file_content(place->path("p.html.part")), "my notes");
  EXPECT_TRUE(fs::exists(place->path("p.html")));
}

TEST_F(Outputs, AQuantizeThatFailsLeavesNothing) {
  const ProgramEnd end =
      shell("bash -c 'trap \"\" XFSZ; ulimit -f 100; \"$0\" quantize \"$1\" \"$2\"' MMBATCH " + at("model") +
            " " + at("packed"));
  EXPECT_EQ(end.code, 3) << end.text;
  EXPECT_THAT(end.text, HasSubstr("File too large"));
  EXPECT_FALSE(fs::exists(place->path("packed")));
  EXPECT_EQ(shell("MMBATCH quantize " + at("model") + " " + at("packed")).code, 0);
}

TEST_F(Outputs, NothingSteersTheTerminal) {
  fs::create_directory(place->path("odd"));
  for (const auto& entry : fs::directory_iterator(place->path("model")))
    fs::create_symlink(entry.path(), place->path("odd") + "/" + entry.path().filename().string());
  fs::remove(place->path("odd/config.json"));
  place->write("odd/config.json", "{\"architectures\": [\"A\\u001b[31m\"], \"model_type\": \"m\\u009bx\"}");
  place->write(
      "bad.yaml",
      "jobs: [{name: j, task: vqa, items: [{id: \"x\\e[2J\\u202e\", image: none.png, question: q}]}]\n");
  const std::string plain_run =
      "MMBATCH run " + at("m.yaml") + " --fresh -m " + at("model") + " -d " + at("r.db");
  for (const std::string& line : std::vector<std::string>{
           "MMBATCH query " + at("r.db"), "MMBATCH query -f markdown " + at("r.db"),
           "MMBATCH eval " + at("r.db"), "MMBATCH query " + at("r.db") + " jobs",
           "MMBATCH query " + at("r.db") + " --job x", "MMBATCH validate " + at("bad.yaml"),
           "MMBATCH inspect " + at("odd"), "MMBATCH query \"$(printf 'no\\033[1m.db')\"",
           "MMBATCH \"$(printf 'r\\033n')\"", plain_run}) {
    const ProgramEnd end = shell(line);
    EXPECT_EQ(end.text.find_first_of("\x1b\x7f\a\b\r"), std::string::npos) << line << "\n" << end.text;
    EXPECT_THAT(end.text, Not(HasSubstr("\u202e"))) << line;
    EXPECT_THAT(end.text, Not(HasSubstr("\u009b"))) << line;
  }
  EXPECT_THAT(shell("MMBATCH query -f csv --columns prompt " + at("r.db")).text, HasSubstr("\x1b[31m"))
      << "data is as it is";
}

TEST_F(Outputs, OptionsThatAreGivenAreNotTakenAsNotGiven) {
  const std::string query = "MMBATCH query " + at("r.db") + " ";
  for (const char* option : {"--sql", "--where", "--job", "--run", "--sort", "--contains", "--columns"})
    expect_refused(shell(query + option + " ''"), option);
  for (const char* wrong :
       {"--limit -1", "--limit 99999999999999999999", "--limit x", "--csv-safe", "failures --sql 'SELECT 1'",
        "--sql 'SELECT abs(-9223372036854775808)'", "--job pictures"})
    EXPECT_EQ(shell(query + wrong).code, 2) << wrong;
  for (const char* wrong : {"--bootstrap -1", "--job pictures", "--limit 3", "--ignore '('"})
    EXPECT_EQ(shell("MMBATCH eval " + at("r.db") + " " + wrong).code, 2) << wrong;
  const std::string eval = "MMBATCH eval " + at("r.db") + " ";
  expect_refused(shell(eval + "--compare 1 99"), "--compare 99");
  expect_refused(shell(eval + "--compare 1 1 --run 1"), "--run");
  expect_refused(shell(eval + "--ignore '('"), "--ignore: '('");
  expect_refused(shell(eval + "--ignore ''"), "--ignore");
  expect_refused(shell("MMBATCH report " + at("r.db") + " -o ''"), "--output: must not be empty");
  for (const char* command :
       {"validate m.yaml --model ''", "validate m.yaml --media-root ''",
        "render --model model --manifest m.yaml --id ''", "render --model model --manifest m.yaml --job ''",
        "render --model model x --messages ''", "render --model model x --turn-format ''",
        "chat --model model --image ''", "merge '' r.db", "inspect ''", "quantize '' packed-model",
        "run m.yaml --stop-strings ''"})
    expect_refused(shell("cd " + at("") + "; MMBATCH " + command), "must not be empty");
  expect_refused(shell(query + "--limit 1 --limit 2"), "--limit: is given 2 times");
  expect_refused(run("--shard-by image"), "--shard");
  expect_refused(run("--media-root " + at("model")), "--media-root");
  expect_refused(run("--block-tokens 99999999999999999"), "--block-tokens");
  for (const char* wrong :
       {"--item-timeout nan", "--item-timeout -1", "--kv-memory 0", "--summary-json ''", "--threads 0",
        "--temperature nan", "--top-p inf", "--image-cache -1", "--max-new-tokens 0"})
    EXPECT_EQ(run(wrong).code, 2) << wrong;
}

TEST_F(Outputs, AFifoIsNoDatabase) {
  ASSERT_EQ(::mkfifo(place->path("pipe").c_str(), 0600), 0);
  for (const std::string& command : std::vector<std::string>{
           "query ", "eval ", "report -o " + at("f.html") + " ", "merge " + at("m.db") + " "}) {
    const ProgramEnd end = shell("timeout 20 MMBATCH " + command + at("pipe"));
    EXPECT_EQ(end.code, 3) << command << end.text;
    EXPECT_THAT(end.text, HasSubstr("is a FIFO"));
  }
}

TEST_F(Outputs, WhatADialogueWouldDropOrLacksIsRefused) {
  const std::string ask = "MMBATCH ask -m " + at("model") + " 'what?' ";
  expect_refused(shell(ask + "--raw-prompt --system x"), "--system");
  expect_refused(shell(ask + "--raw-prompt --turn-format line"), "--turn-format");
  expect_refused(shell(ask + "--logprobs true"), "--logprobs");
  expect_refused(shell("MMBATCH generate -m " + at("model") + " word --system x"), "--system");
  for (const char* empty : {"''", "' '"})
    expect_refused(shell("MMBATCH ask -m " + at("model") + " " + empty), "the question is empty");
}

TEST_F(Outputs, AStopTokenThatTheModelDoesNotHaveFailsTheItem) {
  const ProgramEnd end = shell("MMBATCH ask -m " + at("model") + " 'what?' --stop-token-ids 999999999");
  EXPECT_EQ(end.code, 1);
  EXPECT_THAT(end.text, HasSubstr("stop_token_ids"));
}

TEST_F(Outputs, ImagesThatAreCutAreTakenWhereThatIsAskedFor) {
  const std::string whole = file_content(place->path("p.png"));
  place->write("cut.png", whole.substr(0, whole.size() * 2 / 3));
  const std::string ask = "MMBATCH ask -m " + at("model") + " --image " + at("cut.png") + " 'what color?' ";
  EXPECT_EQ(shell(ask).code, 1);
  EXPECT_EQ(shell(ask + "--truncated-images fail").code, 1);
  EXPECT_EQ(shell(ask + "--truncated-images accept").code, 0);
  expect_refused(shell(ask + "--truncated-images perhaps"), "--truncated-images");
  EXPECT_EQ(shell("echo 'what color?' | MMBATCH chat --truncated-images accept -m " + at("model") +
                  " --image " + at("cut.png"))
                .code,
            0);
  place->write("cut.yaml",
               "jobs: [{name: j, task: vqa, items: [{image: cut.png, question: 'what color?'}]}]\n");
  ASSERT_EQ(shell("MMBATCH run -q --truncated-images accept -m " + at("model") + " -d " + at("cut.db") + " " +
                  at("cut.yaml"))
                .code,
            0);
  const auto page = [&](const std::string& more) {
    EXPECT_EQ(shell("MMBATCH report " + at("cut.db") + " -o " + at("cut.html") + " " + more).code, 0);
    return file_content(place->path("cut.html"));
  };
  EXPECT_THAT(page(""), Not(HasSubstr("/9j/"))) << "no JPEG in base64";
  EXPECT_THAT(page("--truncated-images accept"), HasSubstr("/9j/"));
}

TEST_F(Outputs, TokensOfLogprobsPutTogetherAreTheAnswer) {
  const std::string file = place->path("o.jsonl");
  ASSERT_EQ(run("--fresh --logprobs true --top-logprobs 2 -o " + at("o.jsonl")).code, 0);
  const auto line = nlohmann::json::parse(file_content(file));
  const auto& choice = line["response"]["body"]["choices"][0];
  std::string tokens, bytes;
  for (const auto& token : choice["logprobs"]["content"]) {
    tokens += token["token"].get<std::string>();
    for (const int byte : token["bytes"]) bytes += static_cast<char>(byte);
    for (const auto& other : token["top_logprobs"])
      EXPECT_THAT(other["token"].get<std::string>(), Not(HasSubstr("\u2581")));
  }
  EXPECT_EQ(tokens, choice["message"]["content"]);
  EXPECT_EQ(bytes, tokens);
  ASSERT_EQ(run("--fresh --logprobs true --choices zebra --choices yellow -o " + at("o.jsonl")).code, 0);
  const auto chosen = nlohmann::json::parse(file_content(file))["response"]["body"]["choices"][0];
  tokens.clear();
  for (const auto& token : chosen["logprobs"]["content"]) {
    EXPECT_LE(token["logprob"].get<double>(), 0);
    tokens += token["token"].get<std::string>();
  }
  EXPECT_EQ(tokens, chosen["message"]["content"]);
}

}  // namespace
}  // namespace mmbatch

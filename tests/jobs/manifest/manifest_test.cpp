#include "jobs/manifest/manifest.h"

#include <gmock/gmock.h>

#include "tests/jobs/helpers.h"

namespace mmbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempFolder;

std::string usage_error(const TempFolder& folder, const std::string& yaml) {
  const auto file = folder.write("m.yaml", yaml);
  return testing::error_of<UsageError>([&] { read_manifest(file); });
}

TEST(Manifest, ReadsTheExampleOfTheDocumentation) {
  TempFolder folder;
  folder.write("questions.jsonl", R"({"image": "0.png", "question": "what?"})");
  std::filesystem::create_directory(folder / "images");
  const auto file = folder.write("m.yaml", R"(
model: model
database: results.db
generation: {max_new_tokens: 16}
jobs:
  - name: shapes
    task: vqa
    items:
      - {id: a1, image: images/0.png, question: "what color is the shape?", answers: [blue]}
      - {id: a2, images: [x.png, y.png], question: "which is larger?"}
  - name: more-shapes
    task: vqa
    prompt: "Question: {question} Short answer:"
    image_root: images
    items: questions.jsonl
  - name: stories
    task: generate
    generation: {do_sample: true, temperature: 0.8, top_p: 0.95, seed: 7, num_return_sequences: 2, stop_strings: ["\n\n"]}
    items: [{id: s1, prompt: "Once upon a time"}]
)");
  const Manifest manifest = read_manifest(file);
  EXPECT_EQ(manifest.model, folder / "model");
  EXPECT_EQ(manifest.database, folder / "results.db");
  ASSERT_EQ(manifest.jobs.size(), 3u);
  const auto items = testing::read_all(manifest);
  ASSERT_EQ(items.size(), 4u);
  for (const ReadItem& item : items) EXPECT_EQ(testing::fault(item), "");
  EXPECT_EQ(items[0].item->id, "a1");
  EXPECT_EQ(items[0].item->images[0].path, folder / "images/0.png");
  EXPECT_THAT(items[0].item->references, ElementsAre("blue"));
  EXPECT_EQ(items[0].item->form, PromptForm::turns);
  EXPECT_EQ(items[1].item->images.size(), 2u);
  EXPECT_EQ(items[2].item->prompt, "Question: what? Short answer:");
  EXPECT_EQ(items[2].item->images[0].path, folder / "images/0.png");
  EXPECT_EQ(items[2].item->images[0].root, folder / "images");
  EXPECT_EQ(items[2].item->id, "1");
  EXPECT_EQ(items[3].item->task, Task::generate);
  EXPECT_EQ(items[3].item->form, PromptForm::raw);
  const GenerationConfig config = generation_of(manifest, *items[3].item, {});
  EXPECT_EQ(config.max_new_tokens, 16);
  EXPECT_EQ(config.num_return_sequences, 2);
  EXPECT_THAT(config.stop_strings, ElementsAre("\n\n"));
  EXPECT_EQ(count_items(manifest), 4u);
}

TEST(Manifest, TruncatedImagesAreAcceptedByManifestJobOrCommandLine) {
  TempFolder folder;
  const auto policies = [&](const std::string& top, const ManifestOptions& options = {}) {
    const auto file =
        folder.write("m.yaml", top +
                                   "jobs:\n  - {name: a, task: vqa, items: []}\n"
                                   "  - {name: b, task: vqa, items: [], truncated_images: accept}\n");
    std::string found;
    for (const Job& job : read_manifest(file, options).jobs) {
      found += job.truncated_images == TruncatedImages::accept ? "accept " : "fail ";
    }
    return found;
  };
  EXPECT_EQ(policies(""), "fail accept ");
  EXPECT_EQ(policies("truncated_images: accept\n"), "accept accept ");
  EXPECT_EQ(policies("", {.media_root = {}, .truncated_images = TruncatedImages::fail}), "fail fail ");
  EXPECT_THAT(usage_error(folder, "truncated_images: yes\njobs: []"), HasSubstr("must be fail"));
}

struct BadManifest {
  const char* yaml;
  const char* place;
  const char* message;
};

class BadManifests : public ::testing::TestWithParam<BadManifest> {};

TEST_P(BadManifests, NameThePlaceAndTheCause) {
  TempFolder folder;
  folder.write("twice.csv", "image,image\n");
  folder.write("no.csv", "foo,bar\n1,2\n");
  folder.write("object.json", "{}");
  const std::string error = usage_error(folder, GetParam().yaml);
  EXPECT_THAT(error, HasSubstr((folder / "m.yaml").string() + GetParam().place));
  EXPECT_THAT(error, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadManifests,
    ::testing::Values(
        BadManifest{"modle: x\njobs: []\n",
                    ":1:1:", "unknown key 'modle' in the manifest, did you mean 'model'?"},
        BadManifest{"model: x\nmax_new_tokens: 3\njobs: []\n",
                    ":2:1:", "in the manifest, write it as 'generation: {max_new_tokens: …}'; known keys"},
        BadManifest{"jobs: [{name: a, num_beans: 3}]\n",
                    ":1:18:", "did you mean 'generation: {num_beams: …}'?"},
        BadManifest{"model: x\nkv_memory: 2G\njobs: []\n", ":2:1:",
                    "unknown key 'kv_memory' in the manifest, it is the option --kv-memory of a run"},
        BadManifest{"model: x\n", ":1:1:", "'jobs' is missing"},
        BadManifest{"jobs: []\n", ":1:1:", "'jobs' must be a list"},
        BadManifest{"- a\n", ":1:1:", "the manifest must be a map"}, BadManifest{"", ":", "empty"},
        BadManifest{"model: 7\njobs: [{task: vqa, items: []}]", ":1:1:", "'model' must be a text"},
        BadManifest{"model: a\nmodel: b\n", ":2:1:", "key 'model' is given twice"},
        BadManifest{"jobs:\n  - name: a\n    taks: vqa\n    items: []\n", ":3:5:", "did you mean 'task'?"},
        BadManifest{"jobs:\n  - name: a\n    task: vqaa\n    items: []\n", ":3:5:", "did you mean 'vqa'?"},
        BadManifest{"jobs:\n  - name: a\n    items: []\n", ":2:5:", "'task' is missing"},
        BadManifest{"jobs:\n  - {name: a, task: vqa}\n", ":2:5:", "'items' is missing"},
        BadManifest{"jobs:\n  - {name: a, task: vqa, items: 5}\n", ":2:26:", "'items' must be"},
        BadManifest{"jobs: [{name: a, task: vqa, items: []}, {name: a, task: vqa, items: []}]",
                    ":1:41:", "a job named 'a' exists already"},
        BadManifest{"jobs: [{task: vqa, chat: yes, items: []}]", ":1:20:", "'chat' must be true or false"},
        BadManifest{"jobs: [{task: vqa, chat: false, items: []}]", ":1:20:", "'raw_prompt: true' sends them"},
        BadManifest{"jobs: [{task: vqa, chat: true, raw_prompt: true, items: []}]",
                    ":1:32:", "exclude each other"},
        BadManifest{"jobs: [{task: vqa, raw_prompt: true, system: x, items: []}]",
                    ":1:38:", "'system' would be dropped"},
        BadManifest{"jobs: [{task: generate, turn_format: line, raw_prompt: true, items: []}]",
                    ":1:25:", "'turn_format' would be dropped"},
        BadManifest{"jobs: [{task: vqa, prompt: 'Q: {quesion}', items: []}]",
                    ":1:20:", "did you mean {question}?"},
        BadManifest{"jobs: [{task: vqa, image_root: nowhere, items: []}]", ":1:20:", "is not a folder"},
        BadManifest{"jobs: [{task: vqa, items: none.jsonl}]", ":1:20:", "no such file"},
        BadManifest{"jobs: [{task: vqa, items: none.txt}]", ":1:20:", ".jsonl"},
        BadManifest{"jobs: [{task: vqa, question: x, items: '*.png'}]", ":1:33:", "no file matches"},
        BadManifest{"jobs: [{task: vqa, items: 'twice.csv'}]", ":1:20:", "column 'image' is given twice"},
        BadManifest{"jobs: [{task: vqa, items: 'no.csv'}]", ":1:20:", "no column of the header line"},
        BadManifest{"jobs: [{task: vqa, items: 'object.json'}]", ":1:20:", "expected a JSON list"},
        BadManifest{"generation: {max_new_tokens: 0}\njobs: []", ":1:14:", "an integer from 1 to 2147483647"},
        BadManifest{"generation: {max_new_tokns: 3}\njobs: []", ":1:14:", "did you mean 'max_new_tokens'?"},
        BadManifest{"generation:\n  top_p: 2\n", ":2:3:", "from 0 to 1"},
        BadManifest{"generation:\n  top_p: .nan\n", ":2:3:", "must be a number"},
        BadManifest{"jobs: [\n", ":", ""}, BadManifest{"a: &x [*x]\n", ":1:8:", "alias"},
        BadManifest{"jobs: []\n---\njobs: []\n", ":", "more than one YAML document"},
        BadManifest{"model: \xff\n", ":1:", "invalid UTF-8"},
        BadManifest{"jobs: [{task: what?}]", ":1:19:", "in quotes"},
        BadManifest{"? [a]\n: b\n", ":1:3:", "a key must be a text"}));

TEST(Manifest, DepthIsBoundedAlsoThroughAliases) {
  TempFolder folder;
  EXPECT_THAT(usage_error(folder, "jobs: " + std::string(5000, '[') + std::string(5000, ']')),
              HasSubstr("nested deeper"));
  EXPECT_THAT(usage_error(folder, "jobs: " + std::string(100'000, '{')), HasSubstr("m.yaml"));
  EXPECT_THAT(usage_error(folder, "jobs: " + std::string(100'000, '[')), HasSubstr("m.yaml"));
  std::string dashes;
  for (int i = 0; i < 10'000; ++i) dashes += "- ";
  EXPECT_THAT(usage_error(folder, dashes + "x"), HasSubstr("nested deeper"));
  std::string chain = "a0: &a0 [x]\n";
  for (int i = 1; i < 200; ++i) {
    chain += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  }
  EXPECT_THAT(usage_error(folder, chain), HasSubstr("nested deeper"));
}

TEST(Manifest, AliasBombsAreBounded) {
  TempFolder folder;
  std::string laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
  for (int i = 1; i < 20; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 0; k < 9; ++k) laughs += ", " + before;
    laughs += "]\n";
  }
  EXPECT_THAT(usage_error(folder, laughs), HasSubstr("unknown key 'a0'"));
  // The same as an item's metadata: that item fails, the other does not.
  std::string yaml = "jobs:\n- task: generate\n  items:\n  - prompt: x\n    metadata:\n";
  std::istringstream lines(laughs);
  for (std::string line; std::getline(lines, line);) yaml += "      " + line + "\n";
  yaml += "  - prompt: y\n";
  const auto items = testing::read_all(read_manifest(folder.write("m.yaml", yaml)));
  ASSERT_EQ(items.size(), 2u);
  EXPECT_THAT(testing::fault(items[0]), HasSubstr("too large"));
  EXPECT_EQ(testing::fault(items[1]), "");
}

TEST(Manifest, MergeKeysWork) {
  TempFolder folder;
  const auto file = folder.write("m.yaml", R"(
jobs:
  - &base
    name: a
    task: generate
    generation: &g {max_new_tokens: 5}
    items: [{prompt: x}]
  - <<: *base
    name: b
    generation: {<<: *g, seed: 3}
)");
  const Manifest manifest = read_manifest(file);
  ASSERT_EQ(manifest.jobs.size(), 2u);
  EXPECT_EQ(manifest.jobs[1].name, "b");
  EXPECT_EQ(manifest.jobs[1].generation.size(), 2u);
  EXPECT_EQ(testing::read_all(manifest).size(), 2u);
}

TEST(Manifest, InlineItemsFailOneByOneWithTheirPlace) {
  TempFolder folder;
  const auto file = folder.write("m.yaml", R"(
jobs:
  - name: j
    task: vqa
    items:
      - {id: good, image: a.png, question: q, answer: yes}
      - {id: key, image: a.png, qestion: q}
      - {id: type, image: 5, question: q}
      - {id: none, image: a.png}
      - {id: noimage, question: q}
      - just text
      - {id: good, image: a.png, question: q}
      - {id: set, image: a.png, question: q, generation: {top_k: -1}}
      - {id: name, image: a.png, question: q, generation: {topk: 1}}
      - {id: 007, image: a.png, question: q, answers: [yes, 1.0]}
      - {id: empty, image: a.png, question: "  "}
      - {id: twice, image: a.png, image: b.png, question: q}
)");
  const auto items = testing::read_all(read_manifest(file));
  std::vector<std::string> faults;
  for (const ReadItem& item : items) faults.push_back(testing::fault(item));
  const std::string m = (folder / "m.yaml").string();
  ASSERT_EQ(items.size(), 12u);
  EXPECT_EQ(faults[0], "");
  EXPECT_THAT(items[0].item->references, ElementsAre("yes"));
  EXPECT_EQ(faults[1],
            "unknown_key: " + m + ":7:33: unknown key 'qestion' in an item, did you mean 'question'?");
  EXPECT_EQ(faults[2], "invalid_value: " + m + ":8:20: key 'image' must be a text");
  EXPECT_EQ(items[2].item->id, "type");
  EXPECT_EQ(items[2].item->position, 3u);
  EXPECT_THAT(faults[3], HasSubstr("prompt_empty: " + m + ":9:9:"));
  EXPECT_THAT(faults[4], HasSubstr("invalid_item: "));
  EXPECT_THAT(faults[5], HasSubstr("must be a map"));
  EXPECT_THAT(faults[6], HasSubstr("duplicate_id: "));
  EXPECT_EQ(items[6].item->variant, 7u);
  EXPECT_THAT(faults[7], HasSubstr("invalid_value: " + m + ":13:59: generation setting 'top_k'"));
  EXPECT_THAT(faults[8], HasSubstr("unknown_key: "));
  EXPECT_THAT(faults[8], HasSubstr("'top_k'"));
  EXPECT_EQ(items[9].item->id, "007");
  EXPECT_THAT(items[9].item->references, ElementsAre("yes", "1.0"));
  EXPECT_THAT(faults[10], HasSubstr("prompt_empty: "));
  EXPECT_THAT(faults[11], HasSubstr("is given twice"));
  EXPECT_EQ(items[11].item->id, "twice");
}

TEST(Manifest, OtherFilesAreNotTakenForPatternsOfPictures) {
  TempFolder folder;
  folder.write("UP.JSONL", R"({"prompt": "x"})");
  std::filesystem::create_directory(folder / "images");
  const auto refusal = [&](const std::string& items) {
    return usage_error(folder, "jobs: [{task: generate, question: q, items: '" + items + "'}]");
  };
  for (const char* name : {"x.txt", "x.parquet", "x.XLSX", "x.jsonl.bz2", "x.xml", "x.yaml", "none.png"}) {
    folder.write(std::string("x") + std::filesystem::path(name).extension().string(), "x");
    EXPECT_THAT(refusal(name),
                ::testing::AllOf(HasSubstr(".jsonl, .json, .csv or .tsv"), HasSubstr("images/*.png")))
        << name;
  }
  EXPECT_THAT(refusal("*.parquet"), HasSubstr("a job has one listing"));
  EXPECT_THAT(refusal("images"), HasSubstr("is a folder"));
  EXPECT_EQ(refusal("UP.JSONL"), "");
  folder.write("q.csv", "prompt\nx\n");
  EXPECT_THAT(testing::error_of<UsageError>([&] { read_manifest(folder / "q.csv"); }),
              HasSubstr("name it as 'items'"));
}

TEST(Manifest, ATemplateThatWouldDropTheQuestionIsAnError) {
  TempFolder folder;
  const auto items = testing::read_all(read_manifest(folder.write("m.yaml", R"(
jobs:
  - {name: a, task: vqa, prompt: "Describe it.", items: [{image: a.png, question: q}, {image: a.png}]}
  - {name: b, task: generate, prompt: "Go on.", items: [{prompt: p}]}
  - {name: c, task: embed, prompt: "A picture.", items: [{prompt: p}, {image: a.png}]}
)")));
  ASSERT_EQ(items.size(), 5u);
  for (const int dropped : {0, 2, 3})
    EXPECT_THAT(testing::fault(items[static_cast<std::size_t>(dropped)]),
                ::testing::AllOf(HasSubstr("invalid_value: "), HasSubstr("would be dropped"),
                                 HasSubstr("{question}")));
  EXPECT_EQ(testing::fault(items[1]), "");
  EXPECT_EQ(testing::fault(items[4]), "");
  EXPECT_THAT(usage_error(folder, "jobs: [{task: vqa, prompt: 'x', question: q, items: []}]"),
              HasSubstr("would be dropped"));
}

TEST(Manifest, WhatAnItemsFormWouldDropIsAnError) {
  TempFolder folder;
  const auto items = testing::read_all(read_manifest(folder.write("m.yaml", R"(
jobs:
  - {name: a, task: vqa, prompt: "Q {question}", items: [{image: a.png, messages: [{role: user, content: x}]}]}
  - {name: b, task: vqa, raw_prompt: true, items: [{image: a.png, messages: [{role: user, content: x}]}]}
  - {name: c, task: generate, system: s, items: [{prompt: x}, {messages: [{role: user, content: x}]}]}
  - {name: d, task: generate, turn_format: line, items: [{prompt: x}]}
  - {name: e, task: generate, chat: true, system: s, turn_format: line, items: [{prompt: x}]}
  - {name: f, task: generate, raw_prompt: true, items: [{prompt: x}, {messages: [{role: user, content: x}]}]}
)")));
  const std::vector<std::string> dropped = {"'prompt'", "'raw_prompt'", "'system'", "", "'turn_format'", "",
                                            "",         "'raw_prompt'"};
  ASSERT_EQ(items.size(), dropped.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string fault = testing::fault(items[i]);
    if (dropped[i].empty())
      EXPECT_EQ(fault, "");
    else
      EXPECT_THAT(fault, ::testing::AllOf(HasSubstr(dropped[i]), HasSubstr("would be dropped")));
  }
}

TEST(Manifest, ATemplateMayNotMultiplyItsQuestion) {
  TempFolder folder;
  std::string many;
  for (int i = 0; i < 3000; ++i) many += "{question}";
  const auto items = testing::read_listing(
      folder, "q.jsonl", R"({"prompt": ")" + std::string(100'000, 'w') + "\"}\n{\"prompt\": \"short\"}\n",
      "task: generate, prompt: \"" + many + "\"");
  EXPECT_THAT(testing::fault(items[0]), HasSubstr("prompt_too_long: "));
  EXPECT_THAT(testing::fault(items[0]), HasSubstr("3000 placeholders"));
  EXPECT_EQ(items[0].item->prompt, "");
  EXPECT_EQ(testing::fault(items[1]), "");
  const std::string labels = "labels: [a, b, c], template: \"{}" + std::string(6u << 20, 'x') + "\"";
  EXPECT_THAT(usage_error(folder, "jobs: [{task: classify, " + labels + ", items: []}]"),
              HasSubstr("18 MiB"));
}

TEST(SettingsOfJobs, AreSharedByTheItemsOfAJob) {
  TempFolder folder;
  const Manifest manifest = read_manifest(folder.write("m.yaml", R"(
generation: {top_k: 2}
jobs:
  - {name: a, task: generate, items: [{prompt: x}, {prompt: y}, {prompt: z, generation: {seed: 4}}]}
  - {name: b, task: generate, generation: {num_beams: 2}, items: [{prompt: x}]}
)"));
  const auto items = testing::read_all(manifest);
  const SettingsOfJobs settings(manifest, {{}, {{"do_sample", true}}});
  const auto first = settings.of(*items[0].item);
  EXPECT_EQ(first, settings.of(*items[1].item));
  EXPECT_EQ(first, settings.of_job(0));
  EXPECT_EQ(first->json, to_json(first->generation));
  EXPECT_EQ(first->json, R"({"do_sample":true,"top_k":2})");
  const auto own = settings.of(*items[2].item);
  EXPECT_EQ(own->json, R"({"do_sample":true,"seed":4,"top_k":2})");
  EXPECT_EQ(to_json(generation_of(manifest, *items[2].item, {{}, {{"do_sample", true}}})), own->json);
  EXPECT_THROW(settings.of(*items[3].item), ItemError);
  EXPECT_THAT(testing::error_of<UsageError>([&] { settings.of_job(1); }), HasSubstr("job 'b': num_beams"));
}

// As published models have it in their generation_config.json.
TEST(Manifest, ACheckpointThatSamplesGivesWayToChoicesAndBeams) {
  TempFolder folder;
  const auto file =
      folder.write("m.yaml",
                   "jobs: [{task: generate, items: [{prompt: x}, {prompt: y, generation: {num_beams: 2}}, "
                   "{prompt: z, generation: {choices: [a, b]}}]}]");
  const Manifest manifest = read_manifest(file);
  const auto items = testing::read_all(manifest);
  GenerationSurroundings around;
  around.checkpoint = {{"do_sample", true}, {"temperature", 0.6}};
  EXPECT_TRUE(generation_of(manifest, *items[0].item, around).do_sample);
  EXPECT_FALSE(generation_of(manifest, *items[1].item, around).do_sample);
  EXPECT_FALSE(generation_of(manifest, *items[2].item, around).do_sample);
}

TEST(Manifest, PrecedenceOfGenerationSettings) {
  TempFolder folder;
  const auto file = folder.write("m.yaml", R"(
generation: {max_new_tokens: 2, top_k: 2, seed: 2}
jobs: [{task: generate, generation: {top_k: 3, seed: 3}, items: [{prompt: x, generation: {seed: 4}}, {prompt: y, generation: {num_beams: 2}}]}]
)");
  const Manifest manifest = read_manifest(file);
  const auto items = testing::read_all(manifest);
  GenerationSurroundings around;
  around.checkpoint = {{"max_new_tokens", std::int64_t{1}}, {"top_p", 0.5}};
  around.command_line = {{"seed", std::int64_t{5}}, {"do_sample", true}};
  const GenerationConfig config = generation_of(manifest, *items[0].item, around);
  EXPECT_EQ(config.max_new_tokens, 2);
  EXPECT_EQ(config.top_k, 3);
  EXPECT_EQ(config.seed, 5u);
  EXPECT_EQ(config.top_p, 0.5);
  // Beams and sampling contradict each other only when all sources are put together.
  EXPECT_THROW(generation_of(manifest, *items[1].item, around), ItemError);
  around.command_line = {{"num_beams", std::int64_t{2}}, {"do_sample", true}};
  EXPECT_THROW(generation_of(manifest, manifest.jobs[0], around), UsageError);
}

TEST(Manifest, GlobOfImagesWithOneQuestion) {
  TempFolder folder;
  folder.write("images/b.png", "");
  folder.write("images/a[1].png", "");
  folder.write("images/c.txt", "");
  std::filesystem::create_directory(folder / "images/d.png");
  const auto file =
      folder.write("m.yaml", "jobs: [{task: vqa, question: 'what is it?', items: 'images/*.png'}]");
  const auto items = testing::read_all(read_manifest(file));
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].item->id, "images/a[1].png");
  EXPECT_EQ(items[0].item->images[0].path, folder / "images/a[1].png");
  EXPECT_EQ(items[0].item->prompt, "what is it?");
  EXPECT_EQ(testing::fault(items[1]), "");
  const auto other =
      folder.write("n.yaml", "jobs: [{task: vqa, prompt: 'Describe.', items: '*.png', image_root: images}]");
  EXPECT_EQ(testing::read_all(read_manifest(other))[1].item->images[0].path, folder / "images/b.png");
}

}  // namespace
}  // namespace mmbatch

#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/pipeline/program.h"

namespace mmbatch {

/// A manifest of questions about the bundled images, in a job `j` with these keys.
inline std::string held_manifest(const Workplace& place, const std::string& keys, int items = 1) {
  std::string list;
  const std::vector<std::string> images = Workplace::images();
  for (int i = 0; i < items; ++i) {
    list += "      - {id: i" + std::to_string(i) + ", image: '" +
            images[static_cast<std::size_t>(i) % images.size()] + "', question: 'what is in image " +
            std::to_string(i) + "?'}\n";
  }
  return place.write("manifest.yaml", "model: " + Workplace::demo("model") +
                                          "\ndatabase: results.db\njobs:\n  - name: j\n    task: vqa\n" +
                                          keys + "    items:\n" + list);
}

/// The answers of a database, none of which may be missing, by item and sequence.
inline std::map<std::string, std::string> held_answers(const std::string& database) {
  std::map<std::string, std::string> out;
  for (const nlohmann::json& row : rows(database)) {
    EXPECT_EQ(row["status"], "answered") << row.dump();
    out[row["id"].get<std::string>() + "/" + row["sequence"].dump()] = row["answer"];
  }
  return out;
}

/// Runs a manifest token by token, one item at a time, in a small cache, and with guesses.
inline void expect_same_in_any_company(const Workplace& place, const std::string& manifest, int kv_blocks) {
  const auto run = [&](const std::string& name, const std::string& options) {
    const ProgramEnd end = program("run -q " + manifest + " --database " + place.path(name) + " " + options);
    EXPECT_EQ(end.code, 0) << end.text;
    return held_answers(place.path(name));
  };
  const auto expected = run("plain.db", "");
  EXPECT_FALSE(expected.empty());
  EXPECT_EQ(run("steps.db", "--no-jump-forward"), expected);
  EXPECT_EQ(run("alone.db", "--max-sequences 1 --threads 1"), expected);
  EXPECT_EQ(
      run("tight.db", "--kv-blocks " + std::to_string(kv_blocks) + " --block-tokens 16 --prefill-chunk 5"),
      expected);
  EXPECT_EQ(run("lookup.db", "--lookup-tokens 3"), expected);
}

}  // namespace mmbatch

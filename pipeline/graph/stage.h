#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace mmbatch {

/// The pieces of work that a run consists of.
enum class Stage {
  read,
  admit,
  preprocess,
  encode_image,
  encode_text,
  embed_text,
  fuse,
  decode,
  store,
  commit,
  output
};

/// How many threads can be in a stage at a time.
enum class Lanes {
  one,
  all,     // as many as the run has
  inside,  // it is a part of another stage's time
};

/// What a stage is called, and how it runs: the only place that says so.
struct StageRow {
  Stage stage;
  std::string_view key;          // summary: <key>_seconds, <key>_busy; metrics: stage="<key>"
  std::string_view name;         // for people
  std::string_view trace;        // a call in the trace of --profile
  std::string_view error_stage;  // the column of the database, for items that fail in it
  Lanes lanes;
};

// clang-format off
inline constexpr std::array kStages = {
    StageRow{Stage::read,         "read",        "reading",                 "read",             "read",   Lanes::one},
    StageRow{Stage::admit,        "admit",       "admitting",               "admit",            "read",   Lanes::all},
    StageRow{Stage::preprocess,   "preprocess",  "preprocessing images",    "preprocess image", "image",  Lanes::all},
    StageRow{Stage::encode_image, "encode",      "vision encoder",          "encode images",    "image",  Lanes::one},
    StageRow{Stage::encode_text,  "text",        "tokenizing",              "encode text",      "text",   Lanes::all},
    StageRow{Stage::embed_text,   "text_encode", "text encoder",            "embed texts",      "text",   Lanes::one},
    StageRow{Stage::fuse,         "fuse",        "fusing",                  "fuse",             "fuse",   Lanes::all},
    StageRow{Stage::decode,       "decode",      "decoding",                "decode",           "decode", Lanes::one},
    StageRow{Stage::store,        "store",       "storing",                 "store",            "store",  Lanes::one},
    StageRow{Stage::commit,       "commit",      "committing",              "commit",           "store",  Lanes::inside},
    StageRow{Stage::output,       "output",      "writing the output file", "output",           "store",  Lanes::one},
};
// clang-format on

constexpr const StageRow& row_of(Stage stage) {
  return kStages[static_cast<std::size_t>(stage)];
}

constexpr bool rows_stand_in_order() {
  for (std::size_t i = 0; i < kStages.size(); ++i) {
    if (kStages[i].stage != static_cast<Stage>(i)) return false;
  }
  return true;
}
static_assert(rows_stand_in_order());

/// The value of the column `error_stage`.
constexpr std::string_view error_stage(Stage stage) {
  return row_of(stage).error_stage;
}

}  // namespace mmbatch

#include "bench/report.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <ostream>

#include "bench/text_table.h"
#include "engine/base/error.h"
#include "engine/kernels/simd.h"

namespace mmbatch::bench {
namespace {

using Json = nlohmann::ordered_json;

Json or_null(const std::optional<double>& value, double unit = 1.0) {
  return value ? Json(*value / unit) : Json(nullptr);
}

Json to_json(const Ceilings& ceilings) {
  return {{"threads", ceilings.threads},
          {"read_gb_per_second", ceilings.read_bytes / 1e9},
          {"f32_gflop_per_second", ceilings.f32 / 1e9},
          {"bf16_gflop_per_second", or_null(ceilings.bf16, 1e9)},
          {"int16_gop_per_second", or_null(ceilings.int16, 1e9)},
          {"int8_gop_per_second", or_null(ceilings.int8, 1e9)},
          {"int4_gop_per_second", or_null(ceilings.int4, 1e9)}};
}

Json to_json(const Row& row) {
  return {{"workload", row.workload},
          {"case", row.name},
          {"precision", row.precision},
          {"median_seconds", row.timing.median},
          {"min_seconds", row.timing.min},
          {"max_seconds", row.timing.max},
          {"value", row.value},
          {"unit", row.unit},
          {"ceiling", or_null(row.ceiling)},
          {"share", or_null(row.share)}};
}

std::optional<double> number_or_null(const Json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

Row row_of(const Json& json) {
  Row row;
  row.workload = json.at("workload").get<std::string>();
  row.name = json.at("case").get<std::string>();
  row.precision = json.at("precision").get<std::string>();
  row.timing = {json.at("median_seconds").get<double>(), json.at("min_seconds").get<double>(),
                json.at("max_seconds").get<double>()};
  row.value = json.at("value").get<double>();
  row.unit = json.at("unit").get<std::string>();
  row.ceiling = number_or_null(json.at("ceiling"));
  row.share = number_or_null(json.at("share"));
  return row;
}

}  // namespace

std::vector<Row> rows_of(const std::vector<CaseResult>& results, const Ceilings& ceilings) {
  std::vector<Row> rows;
  for (const CaseResult& result : results) {
    const Measured& measured = result.measured;
    Row row{result.workload,
            measured.name,
            result.precision,
            measured.unit,
            measured.timing,
            measured.count / measured.timing.median,
            {},
            {}};
    if (measured.work) {
      Ceilings then = ceilings;
      then.read_bytes = result.read_bytes.value_or(ceilings.read_bytes);
      row.ceiling = measured.count / floor_seconds(then, *measured.work, result.peak);
      row.share = row.value / *row.ceiling;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string to_json(const Ceilings& ceilings, const std::vector<Row>& rows) {
  Json results = Json::array();
  for (const Row& row : rows) results.push_back(to_json(row));
  return Json{{"isa", simd().name}, {"ceilings", to_json(ceilings)}, {"results", results}}.dump(1);
}

std::vector<Row> read_rows(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) throw UsageError(fmt::format("{}: cannot be read", file.string()));
  try {
    std::vector<Row> rows;
    const Json file_content = Json::parse(text);
    for (const Json& result : file_content.at("results")) rows.push_back(row_of(result));
    return rows;
  } catch (const Json::exception& e) {
    throw UsageError(fmt::format("{}: not written by mmbatch_bench --json: {}", file.string(), e.what()));
  }
}

void print_table(const Ceilings& ceilings, const std::vector<Row>& rows, std::ostream& out) {
  const auto peak_text = [](const std::optional<double>& value) {
    return value ? number_text(*value / 1e9) : std::string("none");
  };
  out << fmt::format(
      "ceilings of {} with {} threads: read {} GB/s, f32 {} GFLOP/s, bf16 {} GFLOP/s, int16 {} GOP/s, "
      "int8 {} GOP/s, int4 {} GOP/s\n\n",
      simd().name, ceilings.threads, number_text(ceilings.read_bytes / 1e9), peak_text(ceilings.f32),
      peak_text(ceilings.bf16), peak_text(ceilings.int16), peak_text(ceilings.int8),
      peak_text(ceilings.int4));
  TextTable table(
      {"workload", "case", "precision", ">median", ">min", ">max", ">value", "unit", ">ceiling", ">share"});
  for (const Row& row : rows) {
    table.add({row.workload, row.name, row.precision, seconds_text(row.timing.median),
               seconds_text(row.timing.min), seconds_text(row.timing.max), number_text(row.value), row.unit,
               row.ceiling ? number_text(*row.ceiling) : "–",
               row.share ? fmt::format("{:.0f} %", *row.share * 100) : "–"});
  }
  table.print(out);
}

}  // namespace mmbatch::bench

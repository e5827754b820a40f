#include "engine/kernels/attention.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <memory>
#include <vector>

#include "engine/base/threads.h"

namespace mmbatch {
namespace {

/// The queries [begin, begin + count) of one span, for one kv head.
struct Work {
  const AttentionSpan* span;
  std::size_t kv_head;
  std::size_t begin;
  std::size_t count;
};

/// The keys that a position sees.
PositionRange visible(const AttentionShape& shape, const AttentionSpan& span, std::size_t position) {
  if (span.keys) return *span.keys;
  const auto range = std::find_if(span.bidirectional.begin(), span.bidirectional.end(),
                                  [&](const PositionRange& r) { return position < r.end; });
  const bool inside =
      shape.ranges != RangeView::ignored && range != span.bidirectional.end() && position >= range->begin;
  const std::size_t end = inside ? range->end : position + 1;
  const bool cut = shape.window > 0 && position + 1 > shape.window;
  const std::size_t begin = std::max(cut ? position + 1 - shape.window : 0, span.first_key);
  if (inside && shape.ranges == RangeView::whole)
    return {std::max(std::min(begin, range->begin), span.first_key), end};
  return {begin, end};
}

/// Units that the queries of a span are divided into for each kv head, with about equally many each. Plain
/// rows are brought into the kernel's form for each unit anew, those of a cache lie in it. Every thread has
/// work.
std::size_t parts_of(const AttentionShape& shape, const AttentionSpan& span, std::size_t spans) {
  constexpr std::size_t kCachedQueries = 256, kFewRows = 64, kUnitsOfThread = 4;
  const bool plain = span.rows.layout.form != RowLayout::Form::granules;
  const std::size_t group = shape.heads / shape.kv_heads, units = spans * shape.kv_heads;
  assert(group <= AttentionUnit::kMaxQueries);
  const std::size_t most = (plain ? AttentionUnit::kMaxQueries : std::max(kCachedQueries, group)) / group;
  const std::size_t wanted = (kUnitsOfThread * threads_of_arena() + units - 1) / units;
  return std::max((span.count + most - 1) / most, std::min(wanted, span.count / kFewRows));
}

PagedRows rows_of(const Work& work) {
  PagedRows rows = work.span->rows;
  rows.keys += work.kv_head * work.span->head_stride;
  rows.values += work.kv_head * work.span->head_stride;
  return rows;
}

void announce(AttentionUnit& unit, const AttentionShape& shape, const Work& next) {
  const std::size_t first = next.span->first_position + next.begin;
  unit.next = rows_of(next);
  unit.next_begin = visible(shape, *next.span, first).begin;
  unit.next_end = visible(shape, *next.span, first + next.count - 1).end;
}

void fill(AttentionUnit& unit, const AttentionShape& shape, const Work& work, MatrixView<const float> queries,
          MatrixView<float> out) {
  const AttentionSpan& span = *work.span;
  const std::size_t group = shape.heads / shape.kv_heads;
  unit.rows = rows_of(work);
  unit.head_dim = shape.head_dim;
  unit.scale = shape.scale;
  unit.softcap = shape.softcap;
  unit.queries = work.count * group;
  for (std::size_t i = 0; i < work.count; ++i) {
    const std::size_t row = span.first_row + work.begin + i;
    const PositionRange keys = visible(shape, span, span.first_position + work.begin + i);
    for (std::size_t h = 0; h < group; ++h) {
      const std::size_t column = (work.kv_head * group + h) * shape.head_dim;
      const std::size_t query = i * group + h;
      unit.query[query] = queries.row(row) + column;
      unit.out[query] = out.row(row) + column;
      unit.key_begin[query] = keys.begin;
      unit.key_end[query] = keys.end;
      unit.sink[query] = shape.sinks.empty() ? -INFINITY : shape.sinks[work.kv_head * group + h];
    }
  }
}

auto kernel_of(const SimdKernels& kernels, AttentionArithmetic arithmetic) {
  switch (arithmetic) {
    case AttentionArithmetic::f32:
      return kernels.attention_f32;
    case AttentionArithmetic::bf16:
      return kernels.attention_bf16;
    case AttentionArithmetic::int16:
      break;
  }
  return kernels.attention_int16;
}

float* thread_scratch(std::size_t floats) {
  thread_local Matrix<float> scratch;
  if (scratch.cols() < floats) scratch = Matrix<float>(1, floats);
  return scratch.data();
}

/// The row of position p as floats.
void read_row(const PagedRows& rows, RowKind kind, std::size_t p, std::vector<float>& out) {
  const std::byte* block = (kind == RowKind::key ? rows.keys : rows.values) +
                           static_cast<std::size_t>(rows.blocks[p / rows.block_tokens]) * rows.block_stride;
  rows.layout.load(kind, block, p % rows.block_tokens, out.data());
}

void naive_unit(const AttentionUnit& unit) {
  const PagedRows& rows = unit.rows;
  std::vector<double> weights, totals;
  std::vector<float> row(unit.head_dim);
  for (std::size_t q = 0; q < unit.queries; ++q) {
    const std::size_t begin = unit.key_begin[q], end = unit.key_end[q];
    weights.assign(end - begin, 0.0);
    double max = unit.sink[q];
    for (std::size_t p = begin; p < end; ++p) {
      read_row(rows, RowKind::key, p, row);
      double score = 0.0;
      for (std::size_t d = 0; d < unit.head_dim; ++d) score += static_cast<double>(unit.query[q][d]) * row[d];
      score *= unit.scale;
      if (unit.softcap > 0) score = unit.softcap * std::tanh(score / unit.softcap);
      weights[p - begin] = score;
      max = std::max(max, score);
    }
    double sum = std::exp(unit.sink[q] - max);
    for (double& weight : weights) sum += weight = std::exp(weight - max);
    totals.assign(unit.head_dim, 0.0);
    for (std::size_t p = begin; p < end; ++p) {
      read_row(rows, RowKind::value, p, row);
      for (std::size_t d = 0; d < unit.head_dim; ++d) totals[d] += weights[p - begin] * row[d];
    }
    for (std::size_t d = 0; d < unit.head_dim; ++d) unit.out[q][d] = static_cast<float>(totals[d] / sum);
  }
}

}  // namespace

std::string_view to_string(AttentionKernel kernel) {
  return kernel == AttentionKernel::flash ? "flash" : "naive";
}

void attention(const AttentionShape& shape, MatrixView<const float> queries,
               std::span<const AttentionSpan> spans, MatrixView<float> out, AttentionKernel kernel) {
  assert(shape.head_dim <= 512 && shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0);
  assert(shape.sinks.empty() || shape.sinks.size() == shape.heads);
  assert(queries.cols == shape.heads * shape.head_dim && out.cols == queries.cols &&
         out.rows == queries.rows);
  std::vector<Work> works;
  for (const AttentionSpan& span : spans) {
    assert(span.first_row + span.count <= queries.rows);
    assert(span.rows.layout.head_dim == shape.head_dim);
    const std::size_t parts = parts_of(shape, span, spans.size());
    for (std::size_t head = 0; head < shape.kv_heads; ++head) {
      for (std::size_t part = 0; part < parts; ++part) {
        const std::size_t begin = span.count * part / parts;
        works.push_back({&span, head, begin, span.count * (part + 1) / parts - begin});
      }
    }
  }
  const SimdKernels& kernels = simd();
  const auto compute = kernel_of(kernels, shape.arithmetic);
  const std::size_t scratch = kernels.attention_scratch(shape.head_dim);
  parallel_tiles(works.size(), [&](std::size_t i) {
    AttentionUnit unit;
    fill(unit, shape, works[i], queries, out);
    if (i + 1 < works.size()) announce(unit, shape, works[i + 1]);
    if (kernel == AttentionKernel::naive)
      naive_unit(unit);
    else
      compute(unit, thread_scratch(scratch));
  });
}

}  // namespace mmbatch

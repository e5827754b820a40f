#include "engine/weights/derived.h"

#include <algorithm>
#include <cassert>

#include "engine/weights/files/stored_place.h"

namespace mmbatch {
namespace {

/// A form over another tensor: its type and bytes are that one's.
class DerivedForm : public StoredForm, public StoredPlace {
 public:
  explicit DerivedForm(TensorView tensor) : tensor_(std::move(tensor)), name_(stored_type(tensor_)) {}

  std::string_view name() const final { return name_; }
  std::size_t bytes() const final { return tensor_.bytes(); }
  const std::byte* place() const final { return place_of(tensor_); }

 protected:
  const TensorView tensor_;

 private:
  std::string name_;
};

class Reordered final : public DerivedForm {
 public:
  Reordered(TensorView tensor, std::vector<std::uint32_t> row_of)
      : DerivedForm(std::move(tensor)), row_of_(std::move(row_of)) {}

  void read(std::size_t begin, std::size_t count, float* out) const override {
    const std::size_t cols = tensor_.cols();
    for (const std::size_t end = begin + count; begin < end;) {
      const std::size_t column = begin % cols, part = std::min(cols - column, end - begin);
      copy_as_float(tensor_, row_of_[begin / cols] * cols + column, part, out);
      begin += part;
      out += part;
    }
  }

  /// Whole groups of a row move together.
  const Grouping* grouping() const override {
    const Grouping* grouping = tensor_.form ? tensor_.form->grouping() : nullptr;
    if (grouping == nullptr || tensor_.cols() % grouping->span() != 0 ||
        tensor_.first % (order().empty() ? grouping->span() : tensor_.cols()) != 0)
      return nullptr;
    return grouping;
  }
  std::span<const std::uint32_t> order() const override {
    return tensor_.form ? tensor_.form->order() : std::span<const std::uint32_t>();
  }

  void read_groups(std::size_t begin, std::size_t count, const GroupedValues& out) const override {
    const std::size_t cols = tensor_.cols();
    for (std::size_t done = 0; done < count;) {
      const std::size_t column = (begin + done) % cols, part = std::min(cols - column, count - done);
      const std::size_t from = tensor_.first + row_of_[(begin + done) / cols] * cols + column;
      tensor_.form->read_groups(from, part, out.behind(*tensor_.form->grouping(), done));
      done += part;
    }
  }

  void release(std::size_t begin, std::size_t count) const override {
    if (tensor_.form && begin == 0 && count == row_of_.size() * tensor_.cols())
      tensor_.form->release(tensor_.first, tensor_.elements());
  }

 private:
  std::vector<std::uint32_t> row_of_;
};

class Plus final : public DerivedForm {
 public:
  Plus(TensorView tensor, float added) : DerivedForm(std::move(tensor)), added_(added) {}

  void read(std::size_t begin, std::size_t count, float* out) const override {
    copy_as_float(tensor_, begin, count, out);
    for (std::size_t i = 0; i < count; ++i) out[i] += added_;
  }

 private:
  float added_;
};

class SomeColumns final : public DerivedForm {
 public:
  SomeColumns(TensorView tensor, std::vector<ColumnRange> ranges)
      : DerivedForm(std::move(tensor)), ranges_(std::move(ranges)) {
    for (const ColumnRange& range : ranges_) cols_ += range.count;
  }
  std::size_t cols() const { return cols_; }

  void read(std::size_t begin, std::size_t count, float* out) const override {
    const std::size_t end = begin + count, stored = tensor_.cols();
    for (std::size_t row = begin / cols_; row * cols_ < end; ++row) {
      std::size_t place = row * cols_;  // of the range in the result
      for (const ColumnRange& range : ranges_) {
        const std::size_t from = std::max(begin, place), to = std::min(end, place + range.count);
        if (from < to)
          copy_as_float(tensor_, row * stored + range.begin + (from - place), to - from,
                        out + (from - begin));
        place += range.count;
      }
    }
  }

  /// Where no range parts a group.
  const Grouping* grouping() const override {
    const Grouping* grouping = tensor_.form ? tensor_.form->grouping() : nullptr;
    if (grouping == nullptr || !tensor_.form->order().empty()) return nullptr;
    const std::size_t span = grouping->span();
    bool whole = tensor_.cols() % span == 0 && tensor_.first % span == 0;
    for (const ColumnRange& range : ranges_)
      whole = whole && range.begin % span == 0 && range.count % span == 0;
    return whole ? grouping : nullptr;
  }

  void read_groups(std::size_t begin, std::size_t count, const GroupedValues& out) const override {
    const Grouping& grouping = *tensor_.form->grouping();
    const std::size_t end = begin + count, stored = tensor_.cols();
    for (std::size_t row = begin / cols_; row * cols_ < end; ++row) {
      std::size_t place = row * cols_;
      for (const ColumnRange& range : ranges_) {
        const std::size_t from = std::max(begin, place), to = std::min(end, place + range.count);
        if (from < to)
          tensor_.form->read_groups(tensor_.first + row * stored + range.begin + (from - place), to - from,
                                    out.behind(grouping, from - begin));
        place += range.count;
      }
    }
  }

 private:
  std::vector<ColumnRange> ranges_;
  std::size_t cols_ = 0;
};

class Filled final : public StoredForm {
 public:
  explicit Filled(float value) : value_(value) {}
  std::string_view name() const override { return "one number"; }
  std::size_t bytes() const override { return 0; }
  void read(std::size_t, std::size_t count, float* out) const override { std::fill_n(out, count, value_); }

 private:
  float value_;
};

class Transposed final : public DerivedForm {
 public:
  explicit Transposed(TensorView tensor) : DerivedForm(std::move(tensor)) {}

  void read(std::size_t begin, std::size_t count, float* out) const override {
    const std::size_t rows = tensor_.rows(), cols = tensor_.cols();
    for (std::size_t i = begin; i < begin + count; ++i)
      copy_as_float(tensor_, i % rows * cols + i / rows, 1, out++);
  }
};

class Alternating final : public StoredForm, public StoredPlace {
 public:
  Alternating(std::vector<TensorView> parts, std::size_t piece)
      : parts_(std::move(parts)), piece_(piece), name_(stored_type(parts_.front())) {}

  std::string_view name() const override { return name_; }
  const std::byte* place() const override { return place_of(parts_.front()); }
  std::size_t bytes() const override {
    std::size_t bytes = 0;
    for (const TensorView& part : parts_) bytes += part.bytes();
    return bytes;
  }
  void read(std::size_t begin, std::size_t count, float* out) const override {
    for (const std::size_t end = begin + count; begin < end;) {
      const std::size_t piece = begin / piece_, within = begin % piece_;
      const std::size_t length = std::min(piece_ - within, end - begin);
      copy_as_float(parts_[piece % parts_.size()], piece / parts_.size() * piece_ + within, length, out);
      begin += length;
      out += length;
    }
  }

 private:
  std::vector<TensorView> parts_;
  std::size_t piece_;
  std::string name_;
};

TensorView view_of(const std::string& name, std::vector<std::size_t> shape,
                   std::shared_ptr<const StoredForm> form) {
  TensorView view{name, DType::f32, std::move(shape)};
  view.form = std::move(form);
  return view;
}

}  // namespace

TensorView renamed(TensorView tensor, const std::string& name, std::vector<std::size_t> shape) {
  [[maybe_unused]] const std::size_t elements = tensor.elements();
  tensor.name = name;
  tensor.shape = std::move(shape);
  assert(tensor.elements() == elements);
  return tensor;
}

TensorView reordered_rows(const TensorView& tensor, const std::string& name,
                          std::vector<std::uint32_t> row_of) {
  assert(std::all_of(row_of.begin(), row_of.end(), [&](std::uint32_t row) { return row < tensor.rows(); }));
  std::vector<std::size_t> shape = tensor.shape;
  shape[0] = row_of.size();
  return view_of(name, std::move(shape), std::make_shared<Reordered>(tensor, std::move(row_of)));
}

TensorView plus(const TensorView& tensor, const std::string& name, float added) {
  return view_of(name, tensor.shape, std::make_shared<Plus>(tensor, added));
}

TensorView alternating(std::vector<TensorView> parts, std::size_t piece, NameAndShape as) {
  assert(!parts.empty() && piece > 0 && parts.front().elements() % piece == 0);
  assert(std::all_of(parts.begin(), parts.end(),
                     [&](const TensorView& part) { return part.elements() == parts.front().elements(); }));
  return view_of(as.name, std::move(as.shape), std::make_shared<Alternating>(std::move(parts), piece));
}

TensorView some_columns(const TensorView& tensor, const std::string& name, std::vector<ColumnRange> ranges) {
  const auto form = std::make_shared<SomeColumns>(tensor, std::move(ranges));
  return view_of(name, {tensor.rows(), form->cols()}, form);
}

TensorView filled(const std::string& name, std::vector<std::size_t> shape, float value) {
  return view_of(name, std::move(shape), std::make_shared<Filled>(value));
}

TensorView transposed(const TensorView& tensor, const std::string& name) {
  return view_of(name, {tensor.cols(), tensor.rows()}, std::make_shared<Transposed>(tensor));
}

}  // namespace mmbatch

#include "engine/base/output/message.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "engine/base/text/visible.h"

namespace mmbatch {
namespace {

class VisibleFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string text = visible({message.payload.data(), message.payload.size()});
    spdlog::details::log_msg shown = message;
    shown.payload = text;
    line_.format(shown, out);
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<VisibleFormatter>(); }

 private:
  spdlog::pattern_formatter line_{"%^%l%$: %v"};
};

}  // namespace

void say(std::string_view message) {
  const std::string line = visible(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

void make_log_visible() {
  auto logger =
      std::make_shared<spdlog::logger>("mmbatch", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_formatter(std::make_unique<VisibleFormatter>());
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace mmbatch

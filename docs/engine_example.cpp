// The engine as a library: loads a checkpoint folder, hands in two prompts at once, and shows their tokens as
// they come.
//
//   engine_example MODEL_DIR
//
// Link with mmbatch_fusion (models and prompts) and mmbatch_serve (the engine); nothing of the pipeline is
// needed. tests/CMakeLists.txt builds this file and runs it.

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/threads.h"
#include "engine/serve/engine.h"
#include "fusion/prompting.h"
#include "text/tokenizer/stream_decoder.h"

using namespace mmbatch;

namespace {

/// A question in the model's own turn format, tokenized. Images, encoded by model.images(), would be the last
/// argument, and their number in the message.
std::shared_ptr<const Prompt> prompt_of(const Model& model, const std::string& question) {
  const Message message{Role::user, question};
  return Prompting(model.files())({&message, 1}, {});
}

/// Which tokens the engine may choose, and which end an answer.
Vocabulary vocabulary_of(const Model& model) {
  return {static_cast<std::size_t>(model.tokenizer().vocab_size()), model.spec().suppressed,
          model.spec().eos};
}

/// One question and what has come of it.
struct Conversation {
  std::string question;
  std::unique_ptr<StreamDecoder> stream;
  std::string answer = {};
  bool failed = false;
};

int run(const std::string& folder) {
  // Loading and stepping happen inside the arena, whose threads the kernels use.
  Arena arena(0);
  std::shared_ptr<const Model> model;
  arena.run([&] { model = Model::load(folder); });

  EngineOptions options;
  options.kv_bytes = std::size_t{64} << 20;
  Engine engine(model->decoder(), vocabulary_of(*model), options);

  std::vector<Conversation> conversations;
  for (const std::string question : {"what color is the shape?", "is there a circle?"}) {
    conversations.push_back({question, std::make_unique<StreamDecoder>(model->files().tokenizer)});
  }
  for (Conversation& conversation : conversations) {
    Request request;
    request.prompt = prompt_of(*model, conversation.question);
    request.generation.max_new_tokens = 16;
    request.on_token = [&](std::size_t, std::int32_t token) {
      const std::string text = conversation.stream->push(token);  // empty while a character is incomplete
      std::cout << "[" << conversation.question << "] + \"" << text << "\"\n";
      conversation.answer += text;
    };
    request.on_done = [&](Result<Completion> done) {
      conversation.answer += conversation.stream->finish();
      conversation.failed = !done.ok();
      if (!done) std::cerr << conversation.question << ": " << done.error().message << "\n";
    };
    engine.submit(std::move(request));
  }

  // Both are computed in the same steps; each gets the answer that it would get alone.
  arena.run([&] {
    while (engine.step()) {
    }
  });

  bool failed = false;
  for (const Conversation& conversation : conversations) {
    std::cout << conversation.question << " -> " << conversation.answer << "\n";
    failed = failed || conversation.failed;
  }
  return failed ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: engine_example MODEL_DIR\n";
    return 2;
  }
  try {
    return run(argv[1]);
  } catch (const std::exception& e) {
    std::cerr << "engine_example: " << e.what() << "\n";
    return 3;
  }
}

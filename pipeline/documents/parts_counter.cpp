#include "pipeline/documents/parts_counter.h"

#include <span>

#include "jobs/media/media.h"
#include "pipeline/stages/images/image_names.h"
#include "vision/document/document.h"

namespace mmbatch {

PartsCounter parts_counter() {
  return [](const Item::Image& file, const PartsQuestion& question) -> FileParts {
    const std::vector<unsigned char> bytes = read_image(file);
    const bool video = question.shows == Item::Shows::video;
    ImageLimits limits;
    limits.truncated = question.truncated_images;
    const DocumentInfo info = naming(file.written, [&] {
      return read_document_info(std::as_bytes(std::span(bytes)),
                                video ? DocumentKind::video : DocumentKind::pages, limits);
    });
    return {info.pages, info.seconds};
  };
}

}  // namespace mmbatch

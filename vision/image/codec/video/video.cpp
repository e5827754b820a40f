// FFmpeg's libraries: the frame that a video shows at a time, read from memory. (OpenCV's videoio is made of
// them, and opens files by name only, which a helper process may not.)

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "vision/image/codec/document/documents.h"

namespace mmbatch::codec {
namespace {

constexpr int kBufferBytes = 64 << 10;

struct Source {
  std::span<const std::byte> bytes;
  std::int64_t at = 0;
};

int read_bytes(void* user, std::uint8_t* out, int size) {
  auto& source = *static_cast<Source*>(user);
  const std::int64_t left = static_cast<std::int64_t>(source.bytes.size()) - source.at;
  if (left <= 0) return AVERROR_EOF;
  const auto count = static_cast<int>(std::min<std::int64_t>(size, left));
  std::memcpy(out, source.bytes.data() + source.at, static_cast<std::size_t>(count));
  source.at += count;
  return count;
}

std::int64_t seek(void* user, std::int64_t offset, int whence) {
  auto& source = *static_cast<Source*>(user);
  const auto size = static_cast<std::int64_t>(source.bytes.size());
  if ((whence & AVSEEK_SIZE) != 0) return size;
  const std::int64_t from = whence == SEEK_CUR ? source.at : whence == SEEK_END ? size : 0;
  if (from + offset < 0 || from + offset > size) return AVERROR(EINVAL);
  return source.at = from + offset;
}

struct Freer {
  void operator()(AVIOContext* io) const {
    av_freep(&io->buffer);
    avio_context_free(&io);
  }
  void operator()(AVFormatContext* format) const { avformat_close_input(&format); }
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};
template <class T>
using Owned = std::unique_ptr<T, Freer>;

template <class T>
T* made(T* object) {
  if (object == nullptr) throw std::bad_alloc();
  return object;
}

/// Up to six places, as many as it has.
std::string number(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

/// A video's first stream of pictures.
class Video {
 public:
  explicit Video(std::span<const std::byte> bytes) : source_{bytes} {
    av_log_set_level(AV_LOG_QUIET);
    io_.reset(made(avio_alloc_context(static_cast<unsigned char*>(made(av_malloc(kBufferBytes))),
                                      kBufferBytes, 0, &source_, read_bytes, nullptr, seek)));
    AVFormatContext* format = made(avformat_alloc_context());
    format->pb = io_.get();
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    // Lists of other files, which could not be opened, are no videos here.
    format->protocol_whitelist = av_strdup("");
    if (avformat_open_input(&format, "", nullptr, nullptr) < 0) throw Damage("not a known video format");
    format_.reset(format);
    if (avformat_find_stream_info(format, nullptr) < 0) throw Damage("its streams cannot be read");
    const AVCodec* codec = nullptr;
    number_ = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (number_ == AVERROR_DECODER_NOT_FOUND) throw Unsupported("the coding of its pictures");
    if (number_ < 0) throw Damage("it has no pictures");
    codec_.reset(made(avcodec_alloc_context3(codec)));
    if (avcodec_parameters_to_context(codec_.get(), stream().codecpar) < 0)
      throw Damage("its header is damaged");
    codec_->thread_count = 1;
    if (avcodec_open2(codec_.get(), codec, nullptr) < 0) throw Unsupported("the coding of its pictures");
  }

  /// From its first frame to its end.
  double seconds() const {
    if (stream().duration > 0) return static_cast<double>(stream().duration) * av_q2d(stream().time_base);
    return format_->duration > 0 ? static_cast<double>(format_->duration) / AV_TIME_BASE : 0;
  }
  int width() const { return turns() % 2 == 0 ? codec_->width : codec_->height; }
  int height() const { return turns() % 2 == 0 ? codec_->height : codec_->width; }

  /// The picture that is shown at a time.  @throws Absent behind the video's end
  Image at(double seconds, const CodecRequest& file) { return rgb(*frame_at(seconds, file), file); }

  /// The last frame that begins at or before a time.  @throws Absent behind the video's end
  Owned<AVFrame> frame_at(double seconds, const CodecRequest& file) {
    const auto wanted =
        start() + static_cast<std::int64_t>(std::floor(seconds / av_q2d(stream().time_base) + 1e-6));
    // Where it cannot be entered in the middle, it is read from its beginning.
    if (seconds > 0) av_seek_frame(format_.get(), number_, wanted, AVSEEK_FLAG_BACKWARD);
    const Owned<AVPacket> packet(made(av_packet_alloc()));
    Owned<AVFrame> frame(made(av_frame_alloc())), shown(made(av_frame_alloc()));
    bool any = false, ended = false, more = false;
    while (true) {
      const int got = avcodec_receive_frame(codec_.get(), frame.get());
      if (got == 0) {
        more = any && frame->best_effort_timestamp != AV_NOPTS_VALUE && frame->best_effort_timestamp > wanted;
        if (more) break;
        std::swap(frame, shown);
        av_frame_unref(frame.get());
        any = true;
        continue;
      }
      if (got == AVERROR_EOF || (got != AVERROR(EAGAIN) && ended)) break;
      if (got != AVERROR(EAGAIN)) throw Damage("its pictures cannot be decoded");
      if (av_read_frame(format_.get(), packet.get()) < 0) {
        if (std::exchange(ended, true)) break;
        avcodec_send_packet(codec_.get(), nullptr);
        continue;
      }
      const bool ours = packet->stream_index == number_;
      const int sent = ours ? avcodec_send_packet(codec_.get(), packet.get()) : 0;
      av_packet_unref(packet.get());
      if (sent < 0 && sent != AVERROR(EAGAIN) && file.truncated == TruncatedImages::fail)
        throw Damage("a picture is damaged");
    }
    if (!any) throw Damage("it has no picture at that time");
    const bool patched = shown->decode_error_flags != 0 || (shown->flags & AV_FRAME_FLAG_CORRUPT) != 0;
    if (patched && file.truncated == TruncatedImages::fail) throw Damage("parts of the picture are missing");
    if (!more) check_end(seconds, *shown);
    return shown;
  }

 private:
  /// Headers may say too little: a video lasts as long as its last frame at least.
  void check_end(double seconds, const AVFrame& last) {
    constexpr double kRounding = 1e-6;  // of times in manifests
    if (last.best_effort_timestamp == AV_NOPTS_VALUE && this->seconds() <= 0) return;  // nothing is known
    const double end = std::max(this->seconds(), end_of(last));
    if (seconds > end + kRounding)
      throw Absent("there is no moment " + number(seconds) + " s: the video is " + number(end) + " s long");
  }

  /// When a frame gives way to the next, at the usual rate; 0: that is not known.
  double end_of(const AVFrame& frame) {
    if (frame.best_effort_timestamp == AV_NOPTS_VALUE) return 0;
    const AVRational rate = av_guess_frame_rate(format_.get(), &stream(), nullptr);
    const double lasts = rate.num > 0 && rate.den > 0 ? 1 / av_q2d(rate) : 0;
    const auto begins = static_cast<double>(frame.best_effort_timestamp - start());
    return begins * av_q2d(stream().time_base) + lasts;
  }

  std::int64_t start() const { return stream().start_time == AV_NOPTS_VALUE ? 0 : stream().start_time; }

  AVStream& stream() const { return *format_->streams[number_]; }

  /// Quarters of a turn, clockwise, that the picture is to be shown by.
  int turns() const {
    const std::uint8_t* const matrix = av_stream_get_side_data(&stream(), AV_PKT_DATA_DISPLAYMATRIX, nullptr);
    if (matrix == nullptr) return 0;
    const double degrees = av_display_rotation_get(reinterpret_cast<const std::int32_t*>(matrix));
    return std::isnan(degrees) ? 0 : static_cast<int>(std::lround(-degrees / 90) & 3);
  }

  Image rgb(const AVFrame& frame, const CodecRequest& file) const {
    Image image = canvas(file, frame.width, frame.height);
    const Owned<SwsContext> scaler(sws_getContext(
        frame.width, frame.height, static_cast<AVPixelFormat>(frame.format), frame.width, frame.height,
        AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_BITEXACT, nullptr,
        nullptr, nullptr));
    if (!scaler) throw Unsupported("its form of pixels");
    // Rows of the scaler's own width, which may write behind their ends.
    std::uint8_t* rows[4] = {};
    int strides[4] = {};
    if (av_image_alloc(rows, strides, frame.width, frame.height, AV_PIX_FMT_RGB24, 64) < 0)
      throw std::bad_alloc();
    const std::unique_ptr<std::uint8_t, decltype(&av_free)> release(rows[0], av_free);
    sws_scale(scaler.get(), frame.data, frame.linesize, 0, frame.height, rows, strides);
    for (int y = 0; y < image.height; ++y)
      std::memcpy(image.row(y), rows[0] + static_cast<std::ptrdiff_t>(y) * strides[0], image.row_bytes());
    constexpr int kOrientations[] = {1, 6, 3, 8};  // EXIF's, by quarters of a turn
    return oriented(std::move(image), kOrientations[turns()]);
  }

  Source source_;
  Owned<AVIOContext> io_;
  Owned<AVFormatContext> format_;
  Owned<AVCodecContext> codec_;
  int number_ = -1;
};

}  // namespace

void read_video(const DocumentRequest& request, DocumentFacts& facts, Image& image) {
  Video video(request.file.encoded);
  facts.seconds = video.seconds();
  facts.width = video.width();
  facts.height = video.height();
  const double seconds = request.file.part.seconds;
  if (request.wanted == DocumentRequest::Wanted::pixels)
    image = video.at(seconds, request.file);
  else if (request.wanted == DocumentRequest::Wanted::size && seconds > facts.seconds)
    video.frame_at(seconds, request.file);  // says that it is not there
}

}  // namespace mmbatch::codec

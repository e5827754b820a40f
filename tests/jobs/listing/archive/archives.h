#pragma once

#include <fmt/format.h>
#include <zlib.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mmbatch::testing {

using Members = std::vector<std::pair<std::string, std::string>>;  // name, bytes

/// One member of a tar file (POSIX ustar). @param size what its header says
/// @param target of a link
inline std::string tar_member(const std::string& name, const std::string& bytes, std::size_t size,
                              char type = '0', const std::string& target = {}) {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, std::string_view text) { header.replace(at, text.size(), text); };
  put(0, std::string_view(name).substr(0, 100));
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", size));
  put(136, "00000000000");
  put(148, "        ");
  header[156] = type;
  put(157, std::string_view(target).substr(0, 100));
  put(257, std::string_view("ustar\0"
                            "00",
                            8));
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  header[154] = '\0';
  std::string out = header + bytes;
  out.resize((out.size() + 511) / 512 * 512);
  return out;
}

inline std::string tar_of(const Members& members) {
  std::string out;
  for (const auto& [name, bytes] : members) out += tar_member(name, bytes, bytes.size());
  return out + std::string(1024, '\0');
}

inline std::string gzip_of(const std::string& bytes) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;
  deflateInit2(&stream, 1, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline std::string little(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  return out;
}

/// A zip file of stored members (APPNOTE.TXT 6.3).
inline std::string zip_of(const Members& members) {
  std::string out, directory;
  for (const auto& [name, bytes] : members) {
    const auto crc = crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
    const std::string common = little(20, 2) + little(0, 2) + little(0, 2) + little(0, 4) + little(crc, 4) +
                               little(bytes.size(), 4) + little(bytes.size(), 4) + little(name.size(), 2) +
                               little(0, 2);
    directory += "PK\1\2" + little(20, 2) + common + little(0, 2) + little(0, 2) + little(0, 2) +
                 little(0, 4) + little(out.size(), 4) + name;
    out += "PK\3\4" + common + name + bytes;
  }
  const std::size_t begin = out.size();
  return out + directory + "PK\5\6" + little(0, 4) + little(members.size(), 2) + little(members.size(), 2) +
         little(directory.size(), 4) + little(begin, 4) + little(0, 2);
}

}  // namespace mmbatch::testing

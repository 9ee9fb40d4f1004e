// A C face for what is asked of OpenJPH: encode a frame, decode one, compare one with its source.
//
// Pixels are little endian, interleaved by pixel, one or two bytes a sample. No exception
// leaves this file. The decoder must be given only streams that this encoder made.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#if defined(__x86_64__) && defined(__GNUC__)
#include <tmmintrin.h>
#endif

#include <openjph/ojph_arch.h>
#include <openjph/ojph_codestream.h>
#include <openjph/ojph_file.h>
#include <openjph/ojph_mem.h>
#include <openjph/ojph_message.h>
#include <openjph/ojph_params.h>

extern "C" {

struct healthimaging_frame {
    uint32_t columns;
    uint32_t rows;
    uint32_t components;
    uint32_t bytes_per_sample;
    uint32_t bit_depth;
    uint32_t is_signed;
};

enum healthimaging_outcome : int {
    HEALTHIMAGING_DONE = 0,
    HEALTHIMAGING_FAILED = 1,
    HEALTHIMAGING_OTHER_SHAPE = 2,
    HEALTHIMAGING_DIFFERENT = 3
};

typedef void (*healthimaging_sink)(void *context, const uint8_t *bytes, size_t size);

typedef void (*healthimaging_initializer)();

#if defined(__ELF__) && defined(__GNUC__)
// The functions by which OpenJPH fills its tables. They run before main() unless scripts/setup moved them into a
// section of this name, whose bounds the linker names; then these are not null.
extern healthimaging_initializer __start_openjph_init[] __attribute__((weak, visibility("hidden")));
extern healthimaging_initializer __stop_openjph_init[] __attribute__((weak, visibility("hidden")));
#endif

}

namespace {

// A frame takes megabytes for a moment. By default glibc gives them back to the system at once, and
// a fifth of the time of encoding goes into getting them again page by page.
void keep_freed_memory()
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 8 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    // Each arena keeps what is freed in it, and by default there are eight a core.
    mallopt(M_ARENA_MAX, 4);
#endif
}

// Half a millisecond, which a process without frames does not spend.
void fill_tables()
{
#if defined(__ELF__) && defined(__GNUC__)
    for (healthimaging_initializer *fill = __start_openjph_init; fill != __stop_openjph_init; ++fill)
        (*fill)();
#endif
}

void begin()
{
    static std::once_flag once;
    std::call_once(once, fill_tables);
}

// OpenJPH writes messages and warnings to stdout by default, and stdout may carry a protocol.
void prepare()
{
    static std::once_flag once;
    std::call_once(once, [] {
        ojph::set_info_stream(nullptr);
        ojph::set_warning_stream(nullptr);
        keep_freed_memory();
    });
}

class sink_file : public ojph::outfile_base {
public:
    sink_file(healthimaging_sink sink, void *context) : sink_(sink), context_(context) {}

    size_t write(const void *bytes, size_t size) override
    {
        sink_(context_, static_cast<const uint8_t *>(bytes), size);
        written_ += static_cast<ojph::si64>(size);
        return size;
    }

    ojph::si64 tell() override { return written_; }

private:
    healthimaging_sink sink_;
    void *context_;
    ojph::si64 written_ = 0;
};

template <typename Sample>
void load(const uint8_t *from, size_t stride, ojph::si32 *to, uint32_t count)
{
    for (uint32_t i = 0; i < count; ++i) {
        Sample sample;
        std::memcpy(&sample, from + i * stride, sizeof sample);
        to[i] = sample;
    }
}

// The samples that the bit depth of a component allows. Those of a whole frame are among them; in a lower resolution, which is
// filtered, there may be others.
struct sample_range {
    ojph::si32 least, greatest;
};

sample_range range_of(const ojph::param_siz &siz, ojph::ui32 component)
{
    const ojph::si64 count = ojph::si64(1) << std::min<ojph::ui32>(siz.get_bit_depth(component), 31);
    const ojph::si64 least = siz.is_signed(component) ? -count / 2 : 0;
    return {static_cast<ojph::si32>(least), static_cast<ojph::si32>(least + count - 1)};
}

template <typename Sample>
void store(const ojph::si32 *from, uint8_t *to, size_t stride, uint32_t count, sample_range range)
{
    for (uint32_t i = 0; i < count; ++i) {
        const Sample sample = static_cast<Sample>(std::min(std::max(from[i], range.least), range.greatest));
        std::memcpy(to + i * stride, &sample, sizeof sample);
    }
}

template <typename Sample>
bool same(const ojph::si32 *decoded, const uint8_t *pixels, size_t stride, uint32_t count)
{
    Sample difference = 0;
    for (uint32_t i = 0; i < count; ++i) {
        Sample sample;
        std::memcpy(&sample, pixels + i * stride, sizeof sample);
        difference |= static_cast<Sample>(static_cast<Sample>(decoded[i]) ^ sample);
    }
    return difference == 0;
}

#if defined(__x86_64__) && defined(__GNUC__)
#define HEALTHIMAGING_SHUFFLES 1

// Each third byte of 48: compilers do not make vector code of a stride of three. Reads 48 bytes.
__attribute__((target("ssse3"))) inline __m128i each_third(const uint8_t *from)
{
    const __m128i first = _mm_setr_epi8(0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m128i second = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14, -1, -1, -1, -1, -1);
    const __m128i third = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 4, 7, 10, 13);
    const auto at = [from](size_t offset) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i *>(from + offset));
    };
    return _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(at(0), first), _mm_shuffle_epi8(at(16), second)),
                        _mm_shuffle_epi8(at(32), third));
}

// Samples that are taken 16 at once: 48 bytes from the first sample of 16 reach into the pixel behind them.
uint32_t in_shuffles(uint32_t count)
{
    return count > 16 && __builtin_cpu_supports("ssse3") ? (count - 1) / 16 * 16 : 0;
}

__attribute__((target("ssse3"))) void load_thirds(const uint8_t *from, ojph::si32 *to, uint32_t count)
{
    const __m128i zero = _mm_setzero_si128();
    for (uint32_t i = 0; i < count; i += 16) {
        const __m128i bytes = each_third(from + 3 * size_t(i));
        const __m128i low = _mm_unpacklo_epi8(bytes, zero), high = _mm_unpackhi_epi8(bytes, zero);
        auto *out = reinterpret_cast<__m128i *>(to + i);
        _mm_storeu_si128(out, _mm_unpacklo_epi16(low, zero));
        _mm_storeu_si128(out + 1, _mm_unpackhi_epi16(low, zero));
        _mm_storeu_si128(out + 2, _mm_unpacklo_epi16(high, zero));
        _mm_storeu_si128(out + 3, _mm_unpackhi_epi16(high, zero));
    }
}

__attribute__((target("ssse3"))) bool same_thirds(const ojph::si32 *decoded, const uint8_t *pixels, uint32_t count)
{
    const __m128i low_byte = _mm_set1_epi32(0xFF);
    __m128i difference = _mm_setzero_si128();
    for (uint32_t i = 0; i < count; i += 16) {
        const auto four = [decoded, i, low_byte](size_t offset) {
            const auto *from = reinterpret_cast<const __m128i *>(decoded + i + offset);
            return _mm_and_si128(_mm_loadu_si128(from), low_byte);
        };
        const __m128i bytes = _mm_packus_epi16(_mm_packs_epi32(four(0), four(4)), _mm_packs_epi32(four(8), four(12)));
        difference = _mm_or_si128(difference, _mm_xor_si128(bytes, each_third(pixels + 3 * size_t(i))));
    }
    return _mm_movemask_epi8(_mm_cmpeq_epi8(difference, _mm_setzero_si128())) == 0xFFFF;
}
#endif

// The samples of one component of RGB of 8 bits.
void load_rgb(const uint8_t *from, ojph::si32 *to, uint32_t count)
{
    uint32_t done = 0;
#ifdef HEALTHIMAGING_SHUFFLES
    done = in_shuffles(count);
    load_thirds(from, to, done);
#endif
    load<uint8_t>(from + 3 * size_t(done), 3, to + done, count - done);
}

bool same_rgb(const ojph::si32 *decoded, const uint8_t *pixels, uint32_t count)
{
    uint32_t done = 0;
    bool is_same = true;
#ifdef HEALTHIMAGING_SHUFFLES
    done = in_shuffles(count);
    is_same = same_thirds(decoded, pixels, done);
#endif
    return same<uint8_t>(decoded + done, pixels + 3 * size_t(done), 3, count - done) && is_same;
}

// A stride known when compiling lets the common cases become vector code.
template <typename Sample>
void load_line(const uint8_t *from, uint32_t components, ojph::si32 *to, uint32_t count)
{
    if (components == 1)
        load<Sample>(from, sizeof(Sample), to, count);
    else if (components == 3)
        load<Sample>(from, 3 * sizeof(Sample), to, count);
    else
        load<Sample>(from, components * sizeof(Sample), to, count);
}

template <typename Sample>
void store_line(const ojph::si32 *from, uint8_t *to, uint32_t components, uint32_t count, sample_range range)
{
    if (components == 1)
        store<Sample>(from, to, sizeof(Sample), count, range);
    else if (components == 3)
        store<Sample>(from, to, 3 * sizeof(Sample), count, range);
    else
        store<Sample>(from, to, components * sizeof(Sample), count, range);
}

template <typename Sample>
bool same_line(const ojph::si32 *decoded, const uint8_t *pixels, uint32_t components,
               uint32_t count)
{
    if (components == 1)
        return same<Sample>(decoded, pixels, sizeof(Sample), count);
    if (components == 3)
        return same<Sample>(decoded, pixels, 3 * sizeof(Sample), count);
    return same<Sample>(decoded, pixels, components * sizeof(Sample), count);
}

void load_any(const healthimaging_frame &frame, const uint8_t *from, ojph::si32 *to)
{
    if (frame.bytes_per_sample == 1 && frame.components == 3 && !frame.is_signed)
        load_rgb(from, to, frame.columns);
    else if (frame.bytes_per_sample == 1 && frame.is_signed)
        load_line<int8_t>(from, frame.components, to, frame.columns);
    else if (frame.bytes_per_sample == 1)
        load_line<uint8_t>(from, frame.components, to, frame.columns);
    else if (frame.is_signed)
        load_line<int16_t>(from, frame.components, to, frame.columns);
    else
        load_line<uint16_t>(from, frame.components, to, frame.columns);
}

void store_any(const healthimaging_frame &frame, const ojph::si32 *from, uint8_t *to, sample_range range)
{
    if (frame.bytes_per_sample == 1)
        store_line<uint8_t>(from, to, frame.components, frame.columns, range);
    else
        store_line<uint16_t>(from, to, frame.components, frame.columns, range);
}

bool same_any(const healthimaging_frame &frame, const ojph::si32 *decoded, const uint8_t *pixels)
{
    if (frame.bytes_per_sample == 1 && frame.components == 3)
        return same_rgb(decoded, pixels, frame.columns);
    if (frame.bytes_per_sample == 1)
        return same_line<uint8_t>(decoded, pixels, frame.components, frame.columns);
    return same_line<uint16_t>(decoded, pixels, frame.components, frame.columns);
}

void encode(const healthimaging_frame &frame, uint32_t levels, bool color_transform,
            const uint8_t *pixels, ojph::outfile_base &file)
{
    ojph::codestream stream;
    ojph::param_siz siz = stream.access_siz();
    siz.set_image_extent(ojph::point(frame.columns, frame.rows));
    siz.set_num_components(frame.components);
    for (uint32_t c = 0; c < frame.components; ++c)
        siz.set_component(c, ojph::point(1, 1), frame.bit_depth, frame.is_signed != 0);

    ojph::param_cod cod = stream.access_cod();
    cod.set_num_decomposition(levels);
    cod.set_block_dims(64, 64);
    cod.set_progression_order("RPCL");
    cod.set_color_transform(color_transform);
    cod.set_reversible(true);
    stream.set_planar(false);
    stream.set_tilepart_divisions(true, false);
    stream.request_tlm_marker(true);
    stream.write_headers(&file);

    const size_t sample = frame.bytes_per_sample;
    const size_t row = sample * frame.components * frame.columns;
    ojph::ui32 component = 0;
    ojph::line_buf *line = stream.exchange(nullptr, component);
    for (uint32_t y = 0; y < frame.rows; ++y)
        for (uint32_t c = 0; c < frame.components; ++c) {
            load_any(frame, pixels + y * row + component * sample, line->i32);
            line = stream.exchange(line, component);
        }
    stream.flush();
    stream.close();
}

// Decodes line by line; `take` gets each line with the offset of its first sample in the frame, and the range of its samples.
template <typename Take>
int decode(const healthimaging_frame &frame, const uint8_t *bytes, size_t size, Take take)
{
    ojph::mem_infile file;
    file.open(bytes, size);
    ojph::codestream stream;
    stream.read_headers(&file);

    ojph::param_siz siz = stream.access_siz();
    if (siz.get_num_components() != frame.components)
        return HEALTHIMAGING_OTHER_SHAPE;
    for (uint32_t c = 0; c < frame.components; ++c)
        if (siz.get_recon_width(c) != frame.columns || siz.get_recon_height(c) != frame.rows)
            return HEALTHIMAGING_OTHER_SHAPE;
    if (!stream.access_cod().is_reversible())
        return HEALTHIMAGING_OTHER_SHAPE;

    stream.set_planar(false);
    stream.create();
    const size_t sample = frame.bytes_per_sample;
    const size_t row = sample * frame.components * frame.columns;
    for (uint32_t y = 0; y < frame.rows; ++y)
        for (uint32_t c = 0; c < frame.components; ++c) {
            ojph::ui32 component = 0;
            const ojph::line_buf *line = stream.pull(component);
            take(line->i32, y * row + component * sample, range_of(siz, component));
        }
    stream.close();
    return HEALTHIMAGING_DONE;
}

}

extern "C" void healthimaging_prepare()
{
    prepare();
}

extern "C" void healthimaging_return_freed_memory()
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

extern "C" int healthimaging_htj2k_encode(const healthimaging_frame *frame, uint32_t levels,
                                          uint32_t color_transform, const uint8_t *pixels,
                                          healthimaging_sink sink, void *context)
{
    prepare();
    begin();
    try {
        sink_file file(sink, context);
        encode(*frame, levels, color_transform != 0, pixels, file);
        return HEALTHIMAGING_DONE;
    } catch (...) {
        return HEALTHIMAGING_FAILED;
    }
}

extern "C" int healthimaging_htj2k_decode(const healthimaging_frame *frame, const uint8_t *bytes,
                                          size_t size, uint8_t *pixels)
{
    prepare();
    begin();
    try {
        return decode(*frame, bytes, size, [&](const ojph::si32 *line, size_t at, sample_range range) {
            store_any(*frame, line, pixels + at, range);
        });
    } catch (...) {
        return HEALTHIMAGING_FAILED;
    }
}

// Decodes and compares every sample, without a second frame in memory.
extern "C" int healthimaging_htj2k_verify(const healthimaging_frame *frame, const uint8_t *bytes,
                                          size_t size, const uint8_t *pixels)
{
    prepare();
    begin();
    try {
        bool same = true;
        const int outcome =
            decode(*frame, bytes, size, [&](const ojph::si32 *line, size_t at, sample_range) {
                same &= same_any(*frame, line, pixels + at);
            });
        return outcome == HEALTHIMAGING_DONE && !same ? HEALTHIMAGING_DIFFERENT : outcome;
    } catch (...) {
        return HEALTHIMAGING_FAILED;
    }
}

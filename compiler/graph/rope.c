/* Rotary position frequencies, as transformers makes them of a config. In
 * doubles; transformers works in floats, which moves its logits by 3e-7. */
#include "compiler/graph/graph.h"
#include <math.h>
#include <stdlib.h>

static double clamp01(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

/* Long waves turn slower by `factor`, short ones stay, those between blend. */
static double llama3(const Rope *r, double freq)
{
    double waves = r->original * freq / (2 * M_PI); /* in the trained length */
    double keep = clamp01((waves - r->low) / (r->high - r->low));
    return (1 - keep) * freq / r->factor + keep * freq;
}

/* The (real) frequency number that turns `turns` times in the length. */
static double yarn_index(const Rope *r, double turns)
{
    return r->rotary * log(r->original / (turns * 2 * M_PI)) /
           (2 * log(r->theta));
}

/* As llama3, but the blend is linear in the frequency's number. */
static double yarn(const Rope *r, int j, double freq)
{
    double fast = r->beta_fast > 0 ? r->beta_fast : 32;
    double slow = r->beta_slow > 0 ? r->beta_slow : 1;
    double first = yarn_index(r, fast), last = yarn_index(r, slow);
    double low = fmax(r->uncut != 0 ? first : floor(first), 0);
    double high = fmin(r->uncut != 0 ? last : ceil(last), r->rotary - 1);
    if (low == high)
        high += 0.001;
    double slowed = clamp01((j - low) / (high - low));
    return slowed * freq / r->factor + (1 - slowed) * freq;
}

static double yarn_scale(const Rope *r)
{
    if (r->attention > 0)
        return r->attention;
    return r->factor > 1 ? 0.1 * log(r->factor) + 1 : 1;
}

/* Of a text longer than the model was trained for all waves are stretched. */
static double dynamic_theta(const Rope *r)
{
    double longer = r->original > 0 ? r->length / r->original : 1;
    return longer > 1 && r->rotary > 2
               ? r->theta * pow(r->factor * longer - (r->factor - 1),
                                r->rotary / (r->rotary - 2.0))
               : r->theta;
}

/* The next of a row of numbers; 1 after its end. */
static double next_divisor(const char **at)
{
    char *end;
    double v = *at ? strtod(*at, &end) : 1;
    if (*at && end == *at)
        return 1;
    if (*at)
        *at = end;
    return v;
}

static double scale_of(const Rope *r)
{
    if (r->kind == ROPE_longrope && r->attention > 0)
        return r->attention;
    return r->kind == ROPE_yarn ? yarn_scale(r) : 1;
}

void rope_frequencies(const Rope *r, double *inv_freq, double *scale)
{
    double theta = r->kind == ROPE_dynamic ? dynamic_theta(r) : r->theta;
    const char *divisor = r->divisor;
    *scale = scale_of(r);
    for (int j = 0; j < r->rotary / 2; j++) {
        double freq = pow(theta, -2.0 * j / r->rotary);
        switch (r->kind) {
        case ROPE_default:
        case ROPE_dynamic:  break;
        case ROPE_linear:   freq /= r->factor; break;
        case ROPE_llama3:   freq = llama3(r, freq); break;
        case ROPE_yarn:     freq = yarn(r, j, freq); break;
        case ROPE_longrope: freq /= next_divisor(&divisor); break;
        }
        inv_freq[j] = r->back != 0 ? -freq : freq;
    }
}

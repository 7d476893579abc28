/* The command line as words: numbers, `name=number`, and words that are there or not. */
#include "bare.h"

/* The next word from `at` on, or NULL at the end. */
static const char *word(const char *at)
{
        while (*at == ' ')
                at++;
        return *at ? at : NULL;
}

static const char *after(const char *at)
{
        while (*at && *at != ' ')
                at++;
        return at;
}

/* Reads a decimal number that is a whole word. */
static bool number(const char *at, uint64_t *value)
{
        const char *end = after(at);
        *value = 0;
        for (const char *digit = at; digit < end; digit++) {
                if (*digit < '0' || *digit > '9')
                        return false;
                *value = *value * 10 + (uint64_t)(*digit - '0');
        }
        return end > at;
}

/* What follows `prefix` if the word at `at` begins with it. */
static const char *without(const char *at, const char *prefix)
{
        while (*prefix)
                if (*at++ != *prefix++)
                        return NULL;
        return at;
}

uint64_t argument_number(uint64_t otherwise)
{
        uint64_t value;
        for (const char *at = word(command_line); at; at = word(after(at)))
                if (number(at, &value))
                        return value;
        return otherwise;
}

uint64_t argument_value(const char *name, uint64_t otherwise)
{
        uint64_t value;
        for (const char *at = word(command_line); at; at = word(after(at))) {
                const char *rest = without(at, name);
                if (rest && number(rest, &value))
                        return value;
        }
        return otherwise;
}

bool argument_given(const char *name)
{
        for (const char *at = word(command_line); at; at = word(after(at))) {
                const char *rest = without(at, name);
                if (rest && (*rest == ' ' || !*rest))
                        return true;
        }
        return false;
}

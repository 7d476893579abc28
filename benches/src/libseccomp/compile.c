/*
 * What libseccomp makes of a policy: rules on standard input, a program on standard output.
 *
 *     compile < RULES > PROGRAM
 *     compile --version
 *
 * A line each, the filter before its rules; numbers are decimal, or hexadecimal after 0x:
 *
 *     filter OTHERWISE FOREIGN OPTIMIZE
 *     rule ACTION CALL [ARGUMENT OPERATOR VALUE SECOND]...
 *
 * OTHERWISE, FOREIGN and ACTION are the kernel's return values, which libseccomp has as its own; FOREIGN answers calls
 * of another architecture, OPTIMIZE is the value of SCMP_FLTATR_CTL_OPTIMIZE. OPERATOR is one of ne lt le eq ge gt
 * masked. SECOND counts for `masked` alone, whose VALUE is the mask.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A call has six arguments, and libseccomp takes one comparison of each. */
#define MOST_COMPARISONS 6

static const struct {
	const char *name;
	enum scmp_compare operator;
} operators[] = {
	{ "ne", SCMP_CMP_NE },
	{ "lt", SCMP_CMP_LT },
	{ "le", SCMP_CMP_LE },
	{ "eq", SCMP_CMP_EQ },
	{ "ge", SCMP_CMP_GE },
	{ "gt", SCMP_CMP_GT },
	{ "masked", SCMP_CMP_MASKED_EQ },
};

static unsigned line_number;

/* Ends the process: a program that is not of all the rules must not come out. */
static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "line %u: %s: %s\n", line_number, what, why);
	exit(EXIT_FAILURE);
}

/* libseccomp returns negated error numbers. */
static void check(const char *what, int result)
{
	if (result < 0)
		fail(what, strerror(-result));
}

static const char *next_word(void)
{
	return strtok(NULL, " \n");
}

static uint64_t number(const char *word, uint64_t most)
{
	char *end;
	unsigned long long value;

	if (word == NULL)
		fail("a number", "the line ends before it");
	errno = 0;
	value = strtoull(word, &end, 0);
	if (errno != 0 || end == word || *end != '\0' || value > most)
		fail(word, "not a number, or too large");
	return value;
}

static enum scmp_compare operator_named(const char *word)
{
	size_t index;

	if (word == NULL)
		fail("an operator", "the line ends before it");
	for (index = 0; index < sizeof(operators) / sizeof(operators[0]); index++)
		if (strcmp(operators[index].name, word) == 0)
			return operators[index].operator;
	fail(word, "no operator");
}

static scmp_filter_ctx filter(void)
{
	scmp_filter_ctx made = seccomp_init(number(next_word(), UINT32_MAX));

	if (made == NULL)
		fail("seccomp_init", "libseccomp does not take the action");
	check("SCMP_FLTATR_ACT_BADARCH",
	      seccomp_attr_set(made, SCMP_FLTATR_ACT_BADARCH, number(next_word(), UINT32_MAX)));
	check("SCMP_FLTATR_CTL_OPTIMIZE",
	      seccomp_attr_set(made, SCMP_FLTATR_CTL_OPTIMIZE, number(next_word(), UINT32_MAX)));
	return made;
}

static void rule(scmp_filter_ctx into)
{
	uint32_t action = number(next_word(), UINT32_MAX);
	int call = number(next_word(), INT32_MAX);
	struct scmp_arg_cmp comparisons[MOST_COMPARISONS];
	unsigned count = 0;
	const char *word;

	while ((word = next_word()) != NULL) {
		if (count == MOST_COMPARISONS)
			fail(word, "a comparison more than a call has arguments");
		comparisons[count].arg = number(word, MOST_COMPARISONS - 1);
		comparisons[count].op = operator_named(next_word());
		comparisons[count].datum_a = number(next_word(), UINT64_MAX);
		comparisons[count].datum_b = number(next_word(), UINT64_MAX);
		count++;
	}
	check("seccomp_rule_add_exact_array", seccomp_rule_add_exact_array(into, action, call, count, comparisons));
}

int main(int argc, char **argv)
{
	scmp_filter_ctx made = NULL;
	char *line = NULL;
	size_t size = 0;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		const struct scmp_version *version = seccomp_version();

		printf("%u.%u.%u\n", version->major, version->minor, version->micro);
		return EXIT_SUCCESS;
	}
	/* Call numbers are those of the architecture that libseccomp was built for. */
	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		fail("this machine", "not x86_64");
	while (getline(&line, &size, stdin) != -1) {
		const char *word = strtok(line, " \n");

		line_number++;
		if (word != NULL && strcmp(word, "filter") == 0 && made == NULL)
			made = filter();
		else if (word != NULL && strcmp(word, "rule") == 0 && made != NULL)
			rule(made);
		else
			fail(word == NULL ? "an empty line" : word, "neither the filter, once and first, nor a rule");
	}
	if (ferror(stdin) || made == NULL)
		fail("standard input", made == NULL ? "no filter" : strerror(errno));
	check("seccomp_export_bpf", seccomp_export_bpf(made, STDOUT_FILENO));
	return EXIT_SUCCESS;
}

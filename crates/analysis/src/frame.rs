//! The innermost function of a project's own in the trace of a failure (detection rules, B.11): what its tests call, not what
//! the language, its libraries and the test runner do.
//!
//! Traces of Python, Java and its kin, JavaScript, Ruby, .NET and PHP are known by the shape of a line. One pass, bounded.

/// Lines that are looked at, at each end of a trace.
const LINES: usize = 256;

/// A longer line is no frame.
const LONGEST_LINE: usize = 1024;

/// Parts of paths where other people's code lies.
const FOREIGN_PATHS: [&str; 12] = [
    "site-packages",
    "dist-packages",
    "/lib/python",
    "\\lib\\python",
    "<frozen",
    "node_modules",
    "node:",
    "internal/",
    "/gems/",
    "/lib/ruby/",
    "<internal:",
    "/vendor/",
];

/// Beginnings of the names of what others wrote on the Java machine and .NET.
const FOREIGN_NAMES: [&str; 24] = [
    "java.",
    "javax.",
    "jakarta.",
    "jdk.",
    "sun.",
    "com.sun.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "groovy.",
    "junit.",
    "org.junit.",
    "org.testng.",
    "org.opentest4j.",
    "org.hamcrest.",
    "org.assertj.",
    "org.mockito.",
    "org.gradle.",
    "org.apache.maven.",
    "org.codehaus.groovy.",
    "System.",
    "Microsoft.",
    "Xunit.",
    "NUnit.",
];

/// A frame as a line tells it.
struct Frame<'a> {
    function: &'a str,
    is_own: bool,
    /// Traces of this shape end with the innermost frame.
    innermost_last: bool,
}

/// The innermost function of the project's own among the lines of a trace; empty if no line names one. The test itself does
/// not count: its name is known, and what fails alike in many tests shall look alike.
#[must_use]
pub fn innermost<'a>(lines: impl DoubleEndedIterator<Item = &'a str> + Clone, test: &str) -> &'a str {
    let own = |line: &'a str| frame(line).filter(|frame| frame.is_own);
    let last =
        lines.clone().rev().take(LINES).find_map(|line| own(line).filter(|frame| frame.innermost_last));
    let found = last.or_else(|| lines.take(LINES).find_map(own));
    let function = found.map_or("", |frame| frame.function);
    let name = test.split(['[', '(']).next().unwrap_or(test);
    let is_test = !function.is_empty()
        && function.rsplit(['.', '#', ':']).next() == name.rsplit(['.', '#', ':']).next();
    if is_test || function.contains('<') { "" } else { function }
}

fn frame(line: &str) -> Option<Frame<'_>> {
    if line.len() > LONGEST_LINE {
        return None;
    }
    let line = line.trim();
    python(line).or_else(|| at(line)).or_else(|| ruby(line)).or_else(|| php(line))
}

/// `File "a.py", line 3, in f` as the language writes it, `a.py:3: in f` as pytest does.
fn python(line: &str) -> Option<Frame<'_>> {
    let (place, function) = match line.strip_prefix("File \"") {
        Some(rest) => {
            rest.split_once("\", line ").and_then(|(file, rest)| Some((file, rest.split_once(", in ")?.1)))
        }
        None => line.rsplit_once(": in ").filter(|(place, _)| place_of(place).is_some()),
    }?;
    is_name(function).then_some(Frame { function, is_own: !is_foreign(place), innermost_last: true })
}

/// `at a.b.C.f(C.java:3)`, `at f (a.js:3:1)` and `at A.B.F(Int32 n) in /a.cs:line 3`.
fn at(line: &str) -> Option<Frame<'_>> {
    let rest = line.strip_prefix("at ")?;
    let rest = rest.strip_prefix("async ").or_else(|| rest.strip_prefix("new ")).unwrap_or(rest);
    let (function, place) = rest.split_once('(')?;
    // The machine writes the module before the class: `app//a.b.C.f`.
    let function = function.rsplit('/').next().unwrap_or(function).trim();
    let is_foreign = is_foreign(place) || FOREIGN_NAMES.iter().any(|name| function.starts_with(name));
    // .NET knows the file of its own project's code alone.
    let is_own = !is_foreign && (place.contains(':') || place.contains(" in "));
    is_name(function).then_some(Frame { function, is_own, innermost_last: false })
}

/// ``a.rb:3:in `f'`` and `a.rb:3:in 'A#f'`.
fn ruby(line: &str) -> Option<Frame<'_>> {
    let (place, function) = line.split_once(":in ")?;
    place_of(place)?;
    let function = function.trim_matches(['`', '\'', '"']);
    // What is done in a block is done in the function around it.
    let function = function.rsplit_once(" in ").map_or(function, |(_, function)| function);
    is_name(function).then_some(Frame { function, is_own: !is_foreign(place), innermost_last: false })
}

/// `#0 /app/a.php(3): A->f()`.
fn php(line: &str) -> Option<Frame<'_>> {
    let (number, rest) = line.strip_prefix('#')?.split_once(' ')?;
    let (place, call) = rest.split_once(": ")?;
    let is_frame = number.bytes().all(|byte| byte.is_ascii_digit()) && place.ends_with(')');
    let function = call.split('(').next()?;
    (is_frame && is_name(function)).then_some(Frame {
        function,
        is_own: !is_foreign(place),
        innermost_last: false,
    })
}

/// The file before `:line`.
fn place_of(place: &str) -> Option<&str> {
    let (file, number) = place.rsplit_once(':')?;
    (!file.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some(file)
}

fn is_foreign(place: &str) -> bool {
    FOREIGN_PATHS.iter().any(|part| place.contains(part))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::innermost;

    fn of(trace: &str, test: &str) -> String {
        innermost(trace.lines(), test).to_owned()
    }

    #[test]
    fn the_innermost_function_of_the_project() {
        let python = "Traceback (most recent call last):\n  File \"/app/tests/test_a.py\", line 5, in test_a\n    save()\n  \
                      File \"/app/store.py\", line 9, in save\n    get(url)\n  \
                      File \"/usr/lib/python3.11/socket.py\", line 833, in create_connection\nOSError: gone";
        let pytest = "tests/test_a.py:5: in test_a\n    save()\nstore.py:9: in save\n    get(url)\n\
                      .venv/lib/python3.11/site-packages/requests/api.py:59: in request\nE   OSError: gone";
        let java = "java.io.IOException: gone\n\tat java.base/java.net.Socket.connect(Socket.java:633)\n\
                    \tat app//com.acme.Store.save(Store.java:12)\n\tat com.acme.StoreTest.saves(StoreTest.java:8)";
        let node = "Error: gone\n    at Socket.connect (node:net:1187:16)\n    at async save (/app/store.js:3:11)\n    \
                    at Object.<anonymous> (/app/a.test.js:4:2)";
        let ruby = "/usr/lib/ruby/3.2/net/http.rb:9:in `connect'\n./app/store.rb:3:in `block in save'\n./spec/a_spec.rb:5:in `x'";
        let net = "   at System.Net.Http.HttpClient.Send(Request r)\n   at Acme.Store.Save(Int32 n) in /src/Store.cs:line 12\n   \
                   at Acme.Tests.Saves() in /src/Tests.cs:line 5";
        let php = "#0 /app/vendor/http/Client.php(9): Client->get()\n#1 /app/src/Store.php(12): Store->save()\n#2 {main}";
        assert_eq!(of(python, "test_a"), "save");
        assert_eq!(of(pytest, "test_a[x-1]"), "save");
        assert_eq!(of(java, "saves"), "com.acme.Store.save");
        assert_eq!(of(node, "saves it"), "save");
        assert_eq!(of(ruby, "x"), "save");
        assert_eq!(of(net, "Acme.Tests.Saves"), "Acme.Store.Save");
        assert_eq!(of(php, "testSave"), "Store->save");
    }

    #[test]
    fn no_function_where_only_the_test_is_the_projects() {
        assert_eq!(of("a.py:5: in test_a\n.venv/site-packages/x.py:1: in f", "test_a[1]"), "");
        assert_eq!(of("\tat com.acme.StoreTest.saves(StoreTest.java:8)", "saves(int)"), "");
        assert_eq!(of("    at Object.<anonymous> (/app/a.test.js:4:2)\n    at a.test.js:1:1", "a"), "");
        assert_eq!(of("AssertionError: look at this (really)\nexpected: in time\nat noon", "a"), "");
        assert_eq!(of("", ""), "");
    }

    #[test]
    fn long_traces_are_looked_at_from_both_ends() {
        let deep: Vec<String> = (0..100_000).map(|at| format!("/x/site-packages/a.py:{at}: in f")).collect();
        let lines = deep.iter().map(String::as_str).chain(["a.py:1: in own"]);
        assert_eq!(innermost(lines, "test_a"), "own");
    }
}

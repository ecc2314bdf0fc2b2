// Which scenarios and roles this program has; another program with the same protocol brings its own list.

import java.util.Map;

final class Actions {
    private Actions() {
    }

    static void list(Map<String, Program.Action> actions) {
        Scenarios.list(actions);
        Admins.list(actions);
        Roles.list(actions);
        Member.list(actions);
    }
}

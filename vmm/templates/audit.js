"use strict";
// Without this script the page has everything, and no filters. What is chosen stands in the address, for others to see the same.
const form = document.getElementById("filters");
if (form) {
  const table = document.getElementById("matrix");
  const rows = [...table.tBodies[0].rows];
  const call = document.getElementById("call");
  const boxes = [...form.querySelectorAll("input[name=role]")];
  const differences = document.getElementById("differences");
  const conditional = document.getElementById("conditional");
  const shownRoles = () => new Set(boxes.filter((box) => box.checked).map((box) => box.value));

  const apply = () => {
    const roles = shownRoles();
    const isShown = (element) => boxes.length === 0 || roles.has(element.dataset.role);
    for (const element of document.querySelectorAll(".matrix [data-role]")) element.hidden = !isShown(element);
    const wanted = call.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const verdicts = [...row.querySelectorAll("td[data-role]")].filter(isShown).map((cell) => cell.dataset.verdict);
      row.hidden =
        !row.dataset.call.includes(wanted) ||
        verdicts.every((verdict) => verdict === "refused") ||
        (differences?.checked && new Set(verdicts).size < 2) ||
        (conditional.checked && !verdicts.includes("conditional"));
      count += row.hidden ? 0 : 1;
    }
    document.getElementById("count").textContent = `${count} of ${rows.length} calls`;
  };

  const remember = () => {
    const chosen = new URLSearchParams();
    if (call.value) chosen.set("call", call.value);
    if (boxes.some((box) => !box.checked)) chosen.set("roles", [...shownRoles()].join(","));
    if (differences?.checked) chosen.set("differences", "1");
    if (conditional.checked) chosen.set("conditional", "1");
    history.replaceState(null, "", "#" + chosen);
  };

  const recall = () => {
    const chosen = new URLSearchParams(location.hash.slice(1));
    call.value = chosen.get("call") ?? "";
    const roles = chosen.get("roles")?.split(",");
    for (const box of boxes) box.checked = !roles || roles.includes(box.value);
    if (differences) differences.checked = chosen.has("differences");
    conditional.checked = chosen.has("conditional");
    apply();
  };

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { apply(); remember(); });
  addEventListener("hashchange", recall);
  recall();
}

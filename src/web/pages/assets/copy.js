// Shows the buttons beside values to copy, where the browser lets pages copy (a secure context).
for (const button of navigator.clipboard ? document.querySelectorAll('button.copy') : []) {
  const value = button.previousElementSibling
  const said = button.nextElementSibling
  button.hidden = false
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(value.textContent)
      said.textContent = 'Copied'
    } catch {
      said.textContent = 'Press the value to select it, then copy it.'
    }
  })
}

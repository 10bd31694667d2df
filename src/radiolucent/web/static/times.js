// Times stand on the page in UTC; the reader's own time is told on pointing at one.

for (const one of document.querySelectorAll("time")) one.title = `${new Date(one.dateTime).toLocaleString()} here`;

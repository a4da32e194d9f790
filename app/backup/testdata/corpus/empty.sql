-- Nothing at all.

SELECT;
